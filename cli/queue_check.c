#include "cli/queue_check.h"

#include <event2/event.h>
#include <stdio.h>
#include <string.h>

#include "cli/api.h"
#include "common/clock.h"
#include "common/json.h"

#define QUEUE_CHECK_WHY_BYTES 768

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

/* want: the name of the only one that may take it; NULL: any. */
static bool queue_check_anybody(const json_t *agents, const char *executor,
				const char *want)
{
	const json_t *agent;
	size_t i;

	json_array_foreach(agents, i, agent)
		if ((!want || !strcmp(json_get_str(agent, "name", ""), want)) &&
		    queue_check_offers(json_get_str(agent, "executors", ""),
				       executor))
			return true;
	return false;
}

/* Why nobody takes the job, as far as the server can tell; or "". */
static void queue_check_explain(const json_t *o, const json_t *job,
				char why[QUEUE_CHECK_WHY_BYTES])
{
	const json_t *agents = json_object_get(o, "agents");
	const char *problem = json_get_str(o, "problem", NULL);
	const char *executor = json_get_str(job, "executor", "auto");
	const char *want = json_get_str(job, "want_agent", NULL);

	why[0] = '\0';
	if (problem)
		snprintf(why, QUEUE_CHECK_WHY_BYTES,
			 "the server cannot give it to an orchestrator: %s",
			 problem);
	else if (queue_check_anybody(agents, executor, want))
		return;
	else if (want && !queue_check_anybody(agents, "auto", want))
		snprintf(why, QUEUE_CHECK_WHY_BYTES,
			 "it is for the orchestrator '%.64s', which is not "
			 "connected",
			 want);
	else if (want)
		snprintf(why, QUEUE_CHECK_WHY_BYTES,
			 "the orchestrator '%.64s' has not the executor '%s'",
			 want, executor);
	else if (!json_array_size(agents))
		snprintf(why, QUEUE_CHECK_WHY_BYTES,
			 "no orchestrator is connected");
	else if (!strcmp(executor, "docker"))
		snprintf(why, QUEUE_CHECK_WHY_BYTES,
			 "no orchestrator here runs Docker jobs: no engine "
			 "answers it ('cronium doctor' says how to mend that), "
			 "or use --executor sandbox");
	else
		snprintf(why, QUEUE_CHECK_WHY_BYTES,
			 "no orchestrator here has the executor '%s' "
			 "('cronium doctor' says why)",
			 executor);
}

static void queue_check_on_agents(struct backend_call *call,
				  const struct backend_response *r, void *ctx)
{
	struct queue_check *q = ctx;
	const json_t *job = q->job(q->ctx);
	_cleanup_json_ json_t *o = NULL;
	char err[64], why[QUEUE_CHECK_WHY_BYTES];

	q->call = NULL;
	if (r->error || r->status != 200 ||
	    strcmp(json_get_str(job, "state", ""), "queued") != 0)
		return;
	o = json_parse_object(r->body, r->body_len, err, sizeof(err));
	if (!o)
		return;
	queue_check_explain(o, job, why);
	if (why[0])
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
