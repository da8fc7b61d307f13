/* pagectl/act_resize.c - resize: how large the segment shall be while it runs. */
#include "pagectl/human.h"
#include "pagectl/json.h"
#include "pagectl/pagectl.h"

#include <string.h>

static int print(const struct pagectl *ctl, uint64_t wanted)
{
	const struct shm_meta_header *header = ctl->view.header;
	uint64_t online = shm_load32(&header->online_frames);
	uint32_t shift = header->page_shift;

	if (ctl->want_json) {
		json_t *root = json_new();

		json_put_number(root, "wanted_frames", wanted);
		json_put_number(root, "wanted_bytes", wanted << shift);
		json_put_number(root, "online_frames", online);
		json_put_number(root, "online_bytes", online << shift);
		return json_print(root);
	}
	printf("size %s is wanted, %s are in use now%s\n", human_size(wanted << shift).s,
	       human_size(online << shift).s,
	       online == wanted ? "" : "; pagectl status shows how it goes on");
	return PAGECTL_OK;
}

int act_resize(struct pagectl *ctl)
{
	struct message request = {.kind = MESSAGE_SET,
				  .set = {.key = SET_SIZE, .value = SET_DEFAULT}};
	struct message_reply reply;
	int r = PAGECTL_OK;

	if (strcmp(ctl->operand[0], "default") != 0)
		r = act_parse_frames(ctl, ctl->operand[0], &request.set.value);
	if (r == PAGECTL_OK)
		r = act_call(ctl, &request, &reply);
	if (r != PAGECTL_OK)
		return r;
	return reply.status < 0 ? act_refused(ctl, &reply) : print(ctl, reply.count);
}
