/*
 * The ways out of a remote pod, as ASSIGN's `doors` has them: what the script
 * may connect to (name and port, inside), and where that leads (to, outside).
 * Pure but doors_resolve().
 */
#pragma once

#include <netinet/in.h>
#include <stddef.h>
#include <stdint.h>

#include "common/buf.h"
#include "common/json.h"
#include "common/macro.h"

#define DOORS_MAX 8
#define DOORS_HOST_MAX_BYTES 253
#define DOORS_ADDRESSES_MAX 8

union door_address {
	struct sockaddr any;
	struct sockaddr_in in;
	struct sockaddr_in6 in6;
};

struct door {
	char name[DOORS_HOST_MAX_BYTES + 1];
	union door_address listen; /* inside */
	char to_host[DOORS_HOST_MAX_BYTES + 1];
	uint16_t to_port;
	union door_address to[DOORS_ADDRESSES_MAX]; /* after resolving */
	size_t n_to;
};

struct doors {
	struct door items[DOORS_MAX];
	size_t n;
};

/* list: the array, NULL for none. 0, or -EINVAL with a sentence in err. */
int doors_parse(struct doors *d, const json_t *list, char *err,
		size_t err_size) MUST_CHECK;
/*
 * Finds the addresses of each `to`. A name is looked up by getent(1), because
 * a static program cannot load the modules that know names; waits for it. 0,
 * or negative errno with a sentence in err.
 */
int doors_resolve(struct doors *d, char *err, size_t err_size) MUST_CHECK;
/* Appends an /etc/hosts that knows localhost and the doors' names. */
int doors_append_hosts(const struct doors *d, struct buf *out) MUST_CHECK;

socklen_t door_address_len(const union door_address *a);
/* An IP literal and a port. 0 or -EINVAL. */
int door_address_parse(union door_address *a, const char *literal,
		       uint16_t port) MUST_CHECK;
