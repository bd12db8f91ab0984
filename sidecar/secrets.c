#include "sidecar/secrets.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

void secrets_init(struct secrets *s)
{
	STAILQ_INIT(&s->items);
	s->n = s->bytes = 0;
}

void secrets_deinit(struct secrets *s)
{
	struct secret *item;

	while ((item = STAILQ_FIRST(&s->items))) {
		STAILQ_REMOVE_HEAD(&s->items, link);
		explicit_bzero(item->value, item->len);
		free(item);
	}
	s->n = s->bytes = 0;
}

bool secrets_have(const struct secrets *s, const void *value, size_t len)
{
	const struct secret *item;

	STAILQ_FOREACH(item, &s->items, link)
		if (item->len == len && !memcmp(item->value, value, len))
			return true;
	return false;
}

int secrets_add(struct secrets *s, const void *value, size_t len)
{
	struct secret *item;

	if (secrets_have(s, value, len))
		return 0;
	if (s->n == SECRETS_MAX || len > SECRETS_MAX_BYTES - s->bytes)
		return -E2BIG;
	item = malloc(sizeof(*item) + len);
	if (!item)
		return -ENOMEM;
	item->len = len;
	memcpy(item->value, value, len);
	STAILQ_INSERT_TAIL(&s->items, item, link);
	s->n++;
	s->bytes += len;
	return 0;
}
