/*
 * One connection to the egress proxy.
 *
 *   HEAD ─▶ WAITING ─▶ OPENING ─▶ PUMPING ─▶ CLOSED
 *     │         └─────────┴─▶ REFUSED ─────────▲
 *     └───────────────────────▲
 *
 * HEAD     its request is read
 * WAITING  for its turn at the door
 * OPENING  the door was asked
 * PUMPING  bytes go to and fro
 * REFUSED  the reply is written; what still comes is thrown away
 * CLOSED   the proxy frees it at the end of the turn
 */
#pragma once

#include <event2/event.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

#include "common/buf.h"
#include "common/http/head.h"
#include "common/macro.h"
#include "sidecar/proxy_body.h"
#include "sidecar/proxy_head.h"
#include "sidecar/proxy_pump.h"

struct door_call;
struct proxy;

enum proxy_conn_state {
	PROXY_HEAD,
	PROXY_WAITING,
	PROXY_OPENING,
	PROXY_PUMPING,
	PROXY_REFUSED,
	PROXY_CLOSED,
};

struct proxy_conn {
	TAILQ_ENTRY(proxy_conn) link; /* the proxy's open ones, or the dead */
	TAILQ_ENTRY(proxy_conn) waiting;
	struct proxy *proxy;
	enum proxy_conn_state state;
	int client, server; /* -1: none */
	struct event *read; /* HEAD, REFUSED */
	struct event *timer;
	uint64_t active_ms;
	size_t thrown_away; /* bytes, REFUSED */
	struct buf in;
	struct head_scan scan;
	struct proxy_head head;
	struct proxy_body body; /* of a plain request */
	struct proxy_reply reply;
	struct door_call *call; /* OPENING */
	struct proxy_pump up, down;
};

/* Takes fd, also on error. 0 or -ENOMEM. */
int proxy_conn_new(struct proxy_conn **out, struct proxy *p, int fd) MUST_CHECK;
void proxy_conn_free(struct proxy_conn *c);
/* Asks the door; true when that is done, false when it has to go on waiting. */
bool proxy_conn_open(struct proxy_conn *c);
/* Once; the proxy hears of it. */
void proxy_conn_close(struct proxy_conn *c);
