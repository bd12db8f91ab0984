/*
 * The head of a request to the egress proxy: where it wants to go, and what is
 * sent on in its place. Fields that are for the proxy alone are left out, Host
 * is what the URL says, and the connection ends with the reply. Pure.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/buf.h"
#include "common/macro.h"
#include "common/net_host.h"

#define PROXY_HEAD_MAX_BYTES 32768
#define PROXY_HEAD_MAX_FIELDS 100

/* Zero-initialise; buf_deinit() of head when done. */
struct proxy_head {
	bool connect; /* a tunnel: nothing is sent on but the client's bytes */
	bool head;    /* HEAD: a reply of ours has no body */
	char host[NET_HOST_BYTES]; /* net_host_normal() */
	uint16_t port;
	struct buf forward; /* the head to be sent on */
	bool chunked;       /* its body is; otherwise it has body_bytes */
	uint64_t body_bytes;
};

/*
 * text is a complete head as head_scan() found it, without a leading empty
 * line, len bytes and room for a NUL, lines lines; it is written into. 0, the
 * HTTP status to refuse with and *why, or -ENOMEM.
 */
int proxy_head_parse(struct proxy_head *p, char *text, size_t len,
		     uint32_t lines, const char **why) MUST_CHECK;
