/*
 * Bytes of one direction between two sockets. What the receiver does not take
 * is held, and nothing more is read until it has; so one pump has no more than
 * PROXY_PUMP_BYTES in memory, and mostly nothing.
 */
#pragma once

#include <event2/event.h>
#include <event2/event_struct.h>
#include <stdbool.h>
#include <stdint.h>

#include "common/buf.h"
#include "common/macro.h"
#include "sidecar/proxy_body.h"
#include "sidecar/proxy_reply.h"

#define PROXY_PUMP_BYTES 65536
#define PROXY_PUMP_READS 4 /* a loop turn */

struct proxy_pump;

/* It moved bytes, came to its end (over), or failed (error, an errno; the pump
 * is stopped). May deinit the pump. */
typedef void (*proxy_pump_fn)(struct proxy_pump *p, int error, void *ctx);

/* Embedded by value. */
struct proxy_pump {
	int from, to; /* the owner's */
	struct event readable, writable;
	struct buf held;
	uint8_t *scratch; /* PROXY_PUMP_BYTES, shared by all pumps */
	/* A request's; NULL: everything, and its end is the other side's. */
	struct proxy_body *body;
	struct proxy_reply *reply; /* to it; NULL: as it is */
	bool started;
	bool eof;  /* nothing more is to be read */
	bool over; /* and all of it was sent */
	uint64_t bytes;
	proxy_pump_fn on_event;
	void *ctx;
};

/* Only fills; the caller may put first bytes into held, then starts it. */
void proxy_pump_init(struct proxy_pump *p, int from, int to, uint8_t *scratch,
		     proxy_pump_fn on_event, void *ctx);
/* Works from the loop on. */
int proxy_pump_start(struct proxy_pump *p, struct event_base *base) MUST_CHECK;
/* Now and then: gives the memory back that is not needed at the moment. */
void proxy_pump_trim(struct proxy_pump *p);
void proxy_pump_deinit(struct proxy_pump *p);
