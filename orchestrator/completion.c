#include "orchestrator/completion.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "backend-client/client.h"
#include "common/json.h"
#include "orchestrator/outcome.h"
#include "orchestrator/report.h"

#define COMPLETION_PATH_MAX_BYTES 128

/* Two words are said, one after the other: the second waits for the first. */
struct completion_word {
	const char *verb; /* NULL: nothing to say */
	struct buf body;
};

struct completion {
	struct event_base *base;
	struct backend_client *client;
	const char *execution;
	int64_t epoch;
	struct report *report;       /* under way */
	struct completion_word next; /* waits for report */
	bool last;                   /* report is the last word */
	const struct completion_ops *ops;
	void *ctx;
};

int completion_new(struct completion **out, struct event_base *base,
		   struct backend_client *client, const char *execution,
		   int64_t epoch, const struct completion_ops *ops, void *ctx)
{
	struct completion *c = calloc(1, sizeof(*c));

	*out = c;
	if (!c)
		return -ENOMEM;
	*c = (struct completion){
		.base = base,
		.client = client,
		.execution = execution,
		.epoch = epoch,
		.ops = ops,
		.ctx = ctx,
	};
	return 0;
}

void completion_free(struct completion *c)
{
	if (!c)
		return;
	report_cancel(c->report);
	buf_deinit(&c->next.body);
	free(c);
}

static void completion_on_answer(const struct backend_response *r, void *ctx);

static int completion_send(struct completion *c, const char *verb,
			   struct buf *body)
{
	char path[COMPLETION_PATH_MAX_BYTES];
	const struct report_request req = {
		.path = path,
		.content_type = "application/json",
		.body = body,
	};

	snprintf(path, sizeof(path), "/v1/executions/%s/%s", c->execution,
		 verb);
	return report_new(&c->report, c->base, c->client, &req,
			  completion_on_answer, c);
}

/* body is taken over. */
static int completion_say(struct completion *c, const char *verb, bool last,
			  struct buf *body)
{
	if (c->report) {
		c->next = (struct completion_word){ verb, *body };
		*body = (struct buf){ 0 };
		return 0;
	}
	c->last = last;
	return completion_send(c, verb, body);
}

static void completion_refuse(struct completion *c,
			      const struct backend_response *r)
{
	_cleanup_json_ json_t *problem = NULL;
	char err[128], why[192];

	problem = json_parse_object(r->body, r->body_len, err, sizeof(err));
	snprintf(why, sizeof(why), "the backend refused it: %s (status %d)",
		 json_get_str(problem, "detail", "no detail"), r->status);
	c->ops->on_refused(c->ctx, why);
}

static void completion_on_answer(const struct backend_response *r, void *ctx)
{
	struct completion *c = ctx;
	struct completion_word next = c->next;

	c->report = NULL;
	c->next = (struct completion_word){ 0 };
	if (r->status < 200 || r->status >= 300) {
		buf_deinit(&next.body);
		completion_refuse(c, r);
	} else if (c->last) {
		c->ops->on_accepted(c->ctx);
	} else if (next.verb) {
		if (completion_say(c, next.verb, true, &next.body) < 0)
			c->ops->on_refused(c->ctx, "out of memory");
		buf_deinit(&next.body);
	} else {
		c->ops->on_started(c->ctx);
	}
}

static int completion_say_json(struct completion *c, const char *verb,
			       bool last, json_t *o)
{
	_cleanup_json_ json_t *owned = o;
	struct buf body = { 0 };
	int r;

	if (!owned)
		return -ENOMEM;
	r = json_append(&body, owned);
	if (!r)
		r = completion_say(c, verb, last, &body);
	buf_deinit(&body);
	return r;
}

int completion_started(struct completion *c, const char *pod,
		       const char *executor)
{
	return completion_say_json(c, "started", false,
				   json_pack("{s:I,s:s,s:s}", "epoch",
					     (json_int_t)c->epoch, "pod", pod,
					     "executor", executor));
}

int completion_release(struct completion *c, bool unbegun, const char *reason)
{
	return completion_say_json(c, "release", true,
				   json_pack("{s:I,s:s,s:b}", "epoch",
					     (json_int_t)c->epoch, "reason",
					     reason, "begun", !unbegun));
}

/* A reason may quote bytes of others, or be cut within a character. */
static json_t *completion_reason(const char *reason)
{
	struct buf quoted = { 0 };
	json_t *value = NULL;

	if (!*reason)
		return json_null();
	if (!json_append_string(&quoted, reason, strlen(reason)))
		value = json_loadb((char *)quoted.data, quoted.len,
				   JSON_DECODE_ANY, NULL);
	buf_deinit(&quoted);
	return value;
}

static json_t *completion_int_or_null(bool is, int value)
{
	return is ? json_integer(value) : json_null();
}

int completion_finish(struct completion *c, const struct outcome *outcome,
		      uint64_t log_dropped_bytes)
{
	const struct outcome_exit *ex = &outcome->exit;
	return completion_say_json(
		c, "complete", true,
		json_pack("{s:I,s:s,s:o,s:o,s:o,s:b,s:o,s:o,s:I}", "epoch",
			  (json_int_t)c->epoch, "state", outcome->state,
			  "reason", completion_reason(outcome->reason),
			  "exit_code",
			  completion_int_or_null(ex->exit_code >= 0,
						 ex->exit_code),
			  "signal",
			  completion_int_or_null(ex->signal > 0, ex->signal),
			  "oom_killed", outcome->oom_killed, "usage",
			  usage_json(&outcome->usage), "telemetry",
			  telemetry_json(&outcome->telemetry),
			  "log_dropped_bytes", (json_int_t)log_dropped_bytes));
}
