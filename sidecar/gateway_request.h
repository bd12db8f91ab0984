/*
 * A request to the gateway:
 *
 *   budget ─▶ route ─▶ (public: handler) ─▶ whose token? ─▶ its keys ─▶ rate
 *          ─▶ draining? ─▶ scope ─▶ handler
 *
 * A token of an execution that the gateway does not have is verified as well,
 * with a key that nothing was signed with: neither the reply nor the time tells
 * whether an execution exists.
 */
#pragma once

#include "common/macro.h"
#include "sidecar/health.h"
#include "sidecar/metrics.h"

struct auth;
struct budget_table;
struct http_exchange;
struct seat_table;

/* Embedded by value; zero-initialise. */
struct gateway_door {
	struct seat_table *seats;
	struct budget_table *budgets;
	struct auth *nobody;
	struct metrics metrics; /* of requests without a seat */
	struct health_source health;
	const void *metrics_tag; /* of the listener that tells numbers */
};

/* 0 or negative errno. */
int gateway_door_init(struct gateway_door *d) MUST_CHECK;
void gateway_door_deinit(struct gateway_door *d);

void gateway_door_request(struct gateway_door *d, struct http_exchange *ex);
