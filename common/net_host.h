/*
 * The host of a target that somebody else names: one spelling for each, and
 * none that a resolver could read as an address although it does not look like
 * one ("127.1", "0x7f.1", "2130706433"). Pure.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "common/macro.h"

#define NET_HOST_MAX_BYTES 253 /* of a name */
#define NET_HOST_BYTES (NET_HOST_MAX_BYTES + 1)

enum net_host_kind {
	NET_HOST_NAME, /* lower case, no final dot */
	NET_HOST_IPV4,
	NET_HOST_IPV6, /* canonical, no brackets */
};

/* host: a name, an IPv4 address, or an IPv6 address with or without brackets;
 * len bytes. 0, or -EINVAL for anything else. */
int net_host_normal(const char *host, size_t len, char out[NET_HOST_BYTES],
		    enum net_host_kind *kind) MUST_CHECK;

/* "HOST", "HOST:PORT", "[v6]:PORT": the host as above; *port stays as it was
 * where there is none. 0 or -EINVAL. */
int net_host_split(const char *authority, size_t len, char out[NET_HOST_BYTES],
		   enum net_host_kind *kind, uint16_t *port) MUST_CHECK;
