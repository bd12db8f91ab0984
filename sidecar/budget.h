/*
 * What somebody without a good token may ask for: a token bucket for each
 * network (see http_peer), of the networks that were seen last. Pure: the time
 * is a parameter.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "common/http/server.h"
#include "common/macro.h"
#include "sidecar/rate.h"

#define BUDGET_NETWORKS_MAX 4096
#define BUDGET_PER_MIN 300
#define BUDGET_BURST 100

struct budget_table;

int budget_table_new(struct budget_table **out) MUST_CHECK;
void budget_table_free(struct budget_table *t);

/* 0: there is some left. Otherwise after how many milliseconds there is. */
uint64_t budget_look(struct budget_table *t,
		     const uint8_t network[HTTP_NETWORK_BYTES],
		     uint64_t now_ms);
void budget_charge(struct budget_table *t,
		   const uint8_t network[HTTP_NETWORK_BYTES], uint64_t now_ms);
