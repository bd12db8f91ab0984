/*
 * Whether the Docker engine answers. While it does not, nothing is asked of it
 * but that.
 *
 *   UP ⇄ ASKED ─▶ DOWN ─▶ UP
 *
 * UP     it answered. It is asked every DOCKER_ENGINE_LOOK_MS, since one that
 *        hangs says nothing, and at once when something looks like its end
 *        (docker_engine_doubt)
 * ASKED  a ping is under way
 * DOWN   it was not answered. The next one comes after
 *        DOCKER_ENGINE_RETRY_MIN_MS, then twice as long, up to _MAX_MS
 *
 * The answer to a ping over a new connection counts: an engine that goes down
 * may still answer on an old one.
 */
#pragma once

#include <stdbool.h>

#include "common/macro.h"

#define DOCKER_ENGINE_LOOK_MS 10000
#define DOCKER_ENGINE_RETRY_MIN_MS 100
#define DOCKER_ENGINE_RETRY_MAX_MS 2000

struct docker_api;
struct docker_engine;
struct event_base;

/* A ping is over, and docker_engine_problem() is true for now; changed: it was
 * not before. */
typedef void docker_engine_fn(void *ctx, bool changed);

/* It is taken to be up. The api's pings are its own from now on; it must
 * outlive it. 0 or -ENOMEM. */
int docker_engine_new(struct docker_engine **out, struct docker_api *api,
		      struct event_base *base, docker_engine_fn *on_answer,
		      void *ctx) MUST_CHECK;
void docker_engine_free(struct docker_engine *e);

/* NULL, or a sentence for people: it does not answer. */
const char *docker_engine_problem(const struct docker_engine *e);
/* Asks it, unless that is under way: on_answer follows, from the loop. */
void docker_engine_doubt(struct docker_engine *e);
