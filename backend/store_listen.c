#include "backend/store_listen.h"

#include <stddef.h>

int store_listen_new(struct store_listen **out, struct store *s UNUSED,
		     struct event_base *base UNUSED,
		     const struct store_listen_handler *handler UNUSED)
{
	*out = NULL; /* nobody else writes to a file of ours */
	return 0;
}

void store_listen_free(struct store_listen *l UNUSED)
{
}
