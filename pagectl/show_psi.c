/* pagectl/show_psi.c - PSI of the segment, of zones and of clients, in the kernel's format; and the
 * levels of pressure, real and simulated. */
#include "pagectl/human.h"
#include "pagectl/json.h"
#include "pagectl/pagectl.h"
#include "pagectl/status.h"

#include <stdio.h>
#include <stdlib.h>

static const char *const kinds[SHM_PSI_KINDS] = {"some", "full"};

/* --- psi ------------------------------------------------------------------------------------ */

/* As /proc/pressure/memory has it. */
static void print_psi(const struct shm_psi *psi)
{
	for (uint32_t k = 0; k < SHM_PSI_KINDS; k++)
		printf("%s avg10=%u.%02u avg60=%u.%02u avg300=%u.%02u total=%llu\n", kinds[k],
		       psi->avg[k][0] / 100u, psi->avg[k][0] % 100u, psi->avg[k][1] / 100u,
		       psi->avg[k][1] % 100u, psi->avg[k][2] / 100u, psi->avg[k][2] % 100u,
		       (unsigned long long)psi->total_us[k]);
}

static void put_psi(json_t *object, const struct shm_psi *psi)
{
	for (uint32_t k = 0; k < SHM_PSI_KINDS; k++) {
		json_t *kind = json_object();

		json_put_real(kind, "avg10", psi->avg[k][0] / 100.0);
		json_put_real(kind, "avg60", psi->avg[k][1] / 100.0);
		json_put_real(kind, "avg300", psi->avg[k][2] / 100.0);
		json_put_number(kind, "total_us", psi->total_us[k]);
		json_object_set_new(object, kinds[k], kind);
	}
}

static void show_psi_of_zones(const struct shm_view *view, json_t *array)
{
	for (uint32_t i = 0; i < view->header->nr_zones && i < SHM_MAX_ZONES; i++) {
		struct shm_zone zone = view->zones[i];

		if (array) {
			json_t *object = json_object();

			json_put_text(object, "name", zone.name, sizeof(zone.name));
			put_psi(object, &zone.psi);
			json_array_append_new(array, object);
			continue;
		}
		printf("\nzone %s\n", human_clean(zone.name, sizeof(zone.name)).s);
		print_psi(&zone.psi);
	}
}

static void show_psi_of_clients(const struct shm_view *view, json_t *array)
{
	uint32_t n;
	struct shm_client *clients = clients_copy(view, &n);

	for (uint32_t i = 0; clients && i < n; i++) {
		const struct shm_client *client = &clients[i];

		if (array) {
			json_t *object = json_object();

			json_put_number(object, "id", client->id);
			json_put_text(object, "name", client->name, sizeof(client->name));
			put_psi(object, &client->psi);
			json_array_append_new(array, object);
			continue;
		}
		printf("\nclient %u (%s)\n", client->id,
		       human_clean(client->name, sizeof(client->name)).s);
		print_psi(&client->psi);
	}
	free(clients);
}

int show_psi(struct pagectl *ctl)
{
	struct shm_psi psi = ctl->view.header->psi;
	json_t *root, *zones, *clients;

	if (!ctl->want_json) {
		print_psi(&psi);
		show_psi_of_zones(&ctl->view, NULL);
		show_psi_of_clients(&ctl->view, NULL);
		return PAGECTL_OK;
	}
	root = json_new();
	zones = json_array();
	clients = json_array();
	put_psi(root, &psi);
	show_psi_of_zones(&ctl->view, zones);
	show_psi_of_clients(&ctl->view, clients);
	json_object_set_new(root, "zones", zones);
	json_object_set_new(root, "clients", clients);
	return json_print(root);
}

/* --- pressure ------------------------------------------------------------------------------- */

static int simulate(struct pagectl *ctl)
{
	struct message request = {.kind = MESSAGE_SET,
				  .set = {.key = SET_PRESSURE, .value = ctl->simulate}};
	struct message_reply reply;
	int r = act_call(ctl, &request, &reply);

	if (r == PAGECTL_OK && reply.status < 0)
		r = act_refused(ctl, &reply);
	return r;
}

int act_pressure(struct pagectl *ctl)
{
	const struct shm_meta_header *header = ctl->view.header;
	int r = ctl->want_simulate ? simulate(ctl) : PAGECTL_OK;
	json_t *root;

	if (r != PAGECTL_OK)
		return r;
	if (ctl->want_json) {
		root = json_new();
		json_put_string(root, "level", status_pressure(header->level));
		json_put_string(root, "own", status_pressure(header->own_level));
		json_put_string(root, "machine", status_pressure(header->machine_level));
		json_put_number(root, "pageblocks_given_back",
				shm_view_counter(&ctl->view, COUNTER_pgpunch));
		return json_print(root);
	}
	printf("level     %s\n  own     %s\n  machine %s\n", status_pressure(header->level),
	       status_pressure(header->own_level), status_pressure(header->machine_level));
	return PAGECTL_OK;
}
