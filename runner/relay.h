/*
 * Connections that come in at a listener and go on to an address: bytes both
 * ways, each way ending by itself, nothing held but what one side has yet to
 * take. Back-pressure is not reading.
 *
 *   relay connection:  CONNECTING ─▶ OPEN ─▶ (both ways ended, or an error) freed
 */
#pragma once

#include "common/macro.h"
#include "runner/doors.h"

#define RELAY_CONNECTIONS_MAX 256 /* of one relay; others wait in the backlog */
#define RELAY_BUFFER_BYTES (64 * 1024) /* each way of a connection */

struct event_base;
struct relay;

/* Takes listener (non-blocking), also on error. door must outlive the relay.
 * 0 or negative errno. */
int relay_new(struct relay **out, struct event_base *base, int listener,
	      const struct door *door) MUST_CHECK;
/* Ends all connections. */
void relay_free(struct relay *r);
DEFINE_CLEANUP(struct relay *, relay_free)
