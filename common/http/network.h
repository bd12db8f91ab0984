/* How many connections each network (see http_peer) has open. */
#pragma once

#include <stdint.h>

#include "common/http/server.h"
#include "common/macro.h"

struct network;

/* Embedded by value; zero-initialised is empty. */
struct network_table {
	struct network *networks; /* uthash */
};

/* 0; -EBUSY where that would be more than max; or -ENOMEM. */
int network_join(struct network_table *t,
		 const uint8_t network[HTTP_NETWORK_BYTES],
		 uint32_t max) MUST_CHECK;
void network_leave(struct network_table *t,
		   const uint8_t network[HTTP_NETWORK_BYTES]);
