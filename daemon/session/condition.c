/* daemon/session/condition.c - the core's conditions as errno numbers, and a printf that knows
 * three conversions. */
#include "daemon/session/session_private.h"

#include <errno.h>

int condition_status(enum pool_condition condition)
{
	switch (condition) {
	case POOL_OK:
		return 0;
	case POOL_NO_FRAMES:
	case POOL_NO_COMMIT:
	case POOL_OVER_QUOTA:
		return -ENOMEM;
	case POOL_BAD_PFN:
	case POOL_BAD_ORDER:
	case POOL_NOT_HEAD:
	case POOL_WRONG_ORDER:
	case POOL_IS_SHARED:
	case POOL_BAD_THREAD:
	case POOL_BAD_MAGAZINE:
	case POOL_BAD_LANE:
	case POOL_OLD_SEQ:
	case POOL_BAD_SIZE:
		return -EINVAL;
	case POOL_NOT_OWNED:
		return -EPERM;
	case POOL_STALE:
		return -ESTALE;
	case POOL_NO_CLIENT:
		return -ESRCH;
	case POOL_TABLE_FULL:
	case POOL_OVER_SHARE:
		return -ENOSPC;
	case POOL_GIFTS_WAIT:
		return -EDQUOT;
	case POOL_BUSY:
		return -EBUSY;
	case POOL_HOSTILE:
		return -EPROTO;
	case POOL_MISMATCH:
	case POOL_CORRUPT:
	case POOL_NR_CONDITIONS:
		break;
	}
	return -EIO;
}

struct text {
	char *at;
	char *end; /* of the room for characters; one more byte is kept for the NUL */
};

static void put(struct text *text, const char *s)
{
	while (*s && text->at < text->end)
		*text->at++ = *s++;
}

static void put_number(struct text *text, uint64_t n)
{
	char digits[21];
	char *at = &digits[20];

	*at = '\0';
	do
		*--at = (char)('0' + n % 10);
	while (n /= 10);
	put(text, at);
}

void text_format(char *buffer, uint32_t bytes, const char *format, va_list args)
{
	struct text text = {buffer, buffer + bytes - 1};

	for (; *format; format++) {
		if (*format != '%') {
			put(&text, (char[]){*format, '\0'});
			continue;
		}
		switch (*++format) {
		case 's':
			put(&text, va_arg(args, const char *));
			break;
		case 'u':
			put_number(&text, va_arg(args, uint32_t));
			break;
		case 'l':
			put_number(&text, va_arg(args, uint64_t));
			break;
		default:
			PAGED_CHECK(*format == 's'); /* or u or l: we know no other */
		}
	}
	*text.at = '\0';
}

void text_print(char *buffer, uint32_t bytes, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	text_format(buffer, bytes, format, args);
	va_end(args);
}
