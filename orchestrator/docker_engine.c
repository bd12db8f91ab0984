#include "orchestrator/docker_engine.h"

#include <errno.h>
#include <event2/event.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/clock.h"
#include "common/log.h"
#include "orchestrator/docker_api.h"

#define DOCKER_ENGINE_PROBLEM_BYTES 256

enum docker_engine_state { ENGINE_UP, ENGINE_ASKED, ENGINE_DOWN };

struct docker_engine {
	struct docker_api *api;
	enum docker_engine_state state;
	struct event *timer; /* when it is asked next */
	uint32_t retry_ms;   /* DOWN: the pause after this one */
	bool again; /* ASKED: what is in doubt is younger than the ping */
	char problem[DOCKER_ENGINE_PROBLEM_BYTES];
	docker_engine_fn *on_answer;
	void *ctx;
};

static void docker_engine_set_timer(struct docker_engine *e, uint32_t ms)
{
	const struct timeval t = clock_timeval(ms);

	evtimer_add(e->timer, &t);
}

static void docker_engine_be_up(struct docker_engine *e, bool changed)
{
	if (changed)
		log_info("docker", "the engine answers again");
	e->state = ENGINE_UP;
	e->retry_ms = DOCKER_ENGINE_RETRY_MIN_MS;
	docker_engine_set_timer(e, DOCKER_ENGINE_LOOK_MS);
}

static void docker_engine_be_down(struct docker_engine *e, bool changed,
				  const char *error)
{
	if (changed)
		log_warn("docker", "%s: %s", e->problem, error);
	e->state = ENGINE_DOWN;
	docker_engine_set_timer(e, e->retry_ms);
	e->retry_ms = MIN(e->retry_ms * 2, DOCKER_ENGINE_RETRY_MAX_MS);
}

static void docker_engine_ask(struct docker_engine *e)
{
	/* Without memory for that it stays what it is for a while. */
	docker_engine_set_timer(e, DOCKER_ENGINE_LOOK_MS);
	if (docker_api_ping(e->api) < 0)
		log_error("docker", "the engine cannot be asked: out of "
				    "memory");
	else if (e->state == ENGINE_UP)
		e->state = ENGINE_ASKED;
}

/* One that answers, but with a refusal, is there: what is asked of it says
 * what is wrong. */
static void docker_engine_on_ping(void *ctx, const struct docker_reply *reply)
{
	bool down = reply->error && (!reply->status || reply->status >= 500);
	struct docker_engine *e = ctx;
	bool changed = down != (e->state == ENGINE_DOWN);

	if (!down && e->again) {
		e->again = false;
		docker_engine_ask(e);
		return;
	}
	e->again = false;
	if (down)
		docker_engine_be_down(e, changed, reply->error);
	else
		docker_engine_be_up(e, changed);
	e->on_answer(e->ctx, changed);
}

static void docker_engine_on_timer(int fd, short what, void *ctx)
{
	docker_engine_ask(ctx);
}

int docker_engine_new(struct docker_engine **out, struct docker_api *api,
		      struct event_base *base, docker_engine_fn *on_answer,
		      void *ctx)
{
	struct docker_engine *e = calloc(1, sizeof(*e));

	*out = NULL;
	if (!e)
		return -ENOMEM;
	e->api = api;
	e->retry_ms = DOCKER_ENGINE_RETRY_MIN_MS;
	e->on_answer = on_answer;
	e->ctx = ctx;
	snprintf(e->problem, sizeof(e->problem),
		 "the Docker engine at %s does not answer",
		 docker_api_socket(api));
	e->timer = evtimer_new(base, docker_engine_on_timer, e);
	if (!e->timer) {
		free(e);
		return -ENOMEM;
	}
	docker_api_on_ping(api, docker_engine_on_ping, e);
	docker_engine_set_timer(e, DOCKER_ENGINE_LOOK_MS);
	*out = e;
	return 0;
}

void docker_engine_free(struct docker_engine *e)
{
	if (!e)
		return;
	event_free(e->timer);
	free(e);
}

const char *docker_engine_problem(const struct docker_engine *e)
{
	return e->state == ENGINE_DOWN ? e->problem : NULL;
}

void docker_engine_doubt(struct docker_engine *e)
{
	if (e->state == ENGINE_ASKED)
		e->again = true;
	else
		docker_engine_ask(e);
}
