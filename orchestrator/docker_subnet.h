/*
 * /29 subnets for pod networks, from one configured pool. Docker's default
 * address pools end at about 31 networks; ours are explicit.
 *
 * Pure: no sockets, no clock.
 */
#pragma once

#include <stdint.h>

#include "common/macro.h"

#define DOCKER_SUBNET_PREFIX 29
#define DOCKER_SUBNET_TEXT_BYTES 20 /* "255.255.255.255/29" and NUL */

struct docker_subnets;

/* pool: "10.231.0.0/16", prefix 8 to 29. 0, -EINVAL or -ENOMEM. */
int docker_subnets_new(struct docker_subnets **out,
		       const char *pool) MUST_CHECK;
void docker_subnets_free(struct docker_subnets *s);

/* Takes the first free subnet from a random one on: orchestrators that share
 * an engine know nothing of each other's. Its index, or -ENOSPC. */
int64_t docker_subnets_take(struct docker_subnets *s, uint32_t random,
			    char text[DOCKER_SUBNET_TEXT_BYTES]) MUST_CHECK;
/* index -1 is fine. */
void docker_subnets_give(struct docker_subnets *s, int64_t index);
