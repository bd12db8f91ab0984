#include "common/http/network.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <uthash.h>

struct network {
	UT_hash_handle hh;
	uint8_t address[HTTP_NETWORK_BYTES];
	uint32_t connections;
};

static struct network *network_find(const struct network_table *t,
				    const uint8_t address[HTTP_NETWORK_BYTES])
{
	struct network *n;

	HASH_FIND(hh, t->networks, address, HTTP_NETWORK_BYTES, n);
	return n;
}

static struct network *network_new(struct network_table *t,
				   const uint8_t address[HTTP_NETWORK_BYTES])
{
	struct network *n = calloc(1, sizeof(*n));

	if (!n)
		return NULL;
	memcpy(n->address, address, sizeof(n->address));
	HASH_ADD(hh, t->networks, address, HTTP_NETWORK_BYTES, n);
	if (n->hh.tbl)
		return n;
	free(n);
	return NULL;
}

int network_join(struct network_table *t,
		 const uint8_t network[HTTP_NETWORK_BYTES], uint32_t max)
{
	struct network *n = network_find(t, network);

	if (!n)
		n = network_new(t, network);
	if (!n)
		return -ENOMEM;
	if (n->connections >= max)
		return -EBUSY;
	n->connections++;
	return 0;
}

void network_leave(struct network_table *t,
		   const uint8_t network[HTTP_NETWORK_BYTES])
{
	struct network *n = network_find(t, network);

	assert(n && n->connections);
	if (--n->connections)
		return;
	HASH_DEL(t->networks, n);
	free(n);
}
