#include "cli/queue_check.h"

#include <event2/event.h>
#include <stdio.h>
#include <string.h>

#include "cli/api.h"
#include "common/clock.h"
#include "common/json.h"

struct queue_check {
	struct api *api;
	const json_t *(*job)(void *ctx);
	void (*on_nobody)(void *ctx, const char *why);
	void *ctx;
	struct event *timer;
	struct backend_call *call;
};

/* "docker" in "sandbox,docker"; anybody will do for "auto". */
static bool queue_check_offers(const char *list, const char *executor)
{
	size_t n = strlen(executor);
	const char *p = list;

	if (!strcmp(executor, "auto"))
		return true;
	while ((p = strstr(p, executor))) {
		bool begins = p == list || p[-1] == ',';

		if (begins && (p[n] == ',' || !p[n]))
			return true;
		p += n;
	}
	return false;
}

static bool queue_check_anybody(const json_t *agents, const char *executor)
{
	const json_t *agent;
	size_t i;

	json_array_foreach(agents, i, agent)
		if (queue_check_offers(json_get_str(agent, "executors", ""),
				       executor))
			return true;
	return false;
}

static void queue_check_on_agents(struct backend_call *call,
				  const struct backend_response *r, void *ctx)
{
	struct queue_check *q = ctx;
	const json_t *job = q->job(q->ctx);
	const char *executor = json_get_str(job, "executor", "auto");
	_cleanup_json_ json_t *o = NULL;
	char err[64], why[256];

	q->call = NULL;
	if (r->error || r->status != 200 ||
	    strcmp(json_get_str(job, "state", ""), "queued") != 0)
		return;
	o = json_parse_object(r->body, r->body_len, err, sizeof(err));
	if (!o || queue_check_anybody(json_object_get(o, "agents"), executor))
		return;
	if (!json_array_size(json_object_get(o, "agents")))
		snprintf(why, sizeof(why), "no orchestrator is connected");
	else if (!strcmp(executor, "docker"))
		snprintf(why, sizeof(why),
			 "no orchestrator here runs Docker jobs: no engine "
			 "answers it ('cronium doctor' says how to mend that), "
			 "or use --executor sandbox");
	else
		snprintf(why, sizeof(why),
			 "no orchestrator here has the executor '%s' "
			 "('cronium doctor' says why)",
			 executor);
	q->on_nobody(q->ctx, why);
}

static void queue_check_on_timer(evutil_socket_t fd, short what, void *ctx)
{
	static const struct backend_call_ops ops = {
		.on_done = queue_check_on_agents,
	};
	static const struct backend_request req = {
		.method = "GET",
		.path = "/v1/agents",
		.deadline_ms = API_ANSWER_TIMEOUT_MS,
		.retry = BACKEND_RETRY_SAFE,
	};
	struct queue_check *q = ctx;

	if (backend_client_call(q->api->client, &req, &ops, q, &q->call) < 0)
		q->call = NULL;
}

struct queue_check *queue_check_new(
	struct api *api, const json_t *(*job)(void *ctx),
	void (*on_nobody)(void *ctx, const char *why), void *ctx)
{
	const struct timeval after = clock_timeval(QUEUE_CHECK_AFTER_MS);
	struct queue_check *q = calloc(1, sizeof(*q));

	if (!q)
		return NULL;
	*q = (struct queue_check){ api, job, on_nobody, ctx, NULL, NULL };
	q->timer = evtimer_new(api->base, queue_check_on_timer, q);
	if (!q->timer) {
		free(q);
		return NULL;
	}
	event_add(q->timer, &after);
	return q;
}

void queue_check_free(struct queue_check *q)
{
	if (!q)
		return;
	if (q->call)
		backend_call_cancel(q->call);
	event_free(q->timer);
	free(q);
}
