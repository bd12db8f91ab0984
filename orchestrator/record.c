#include "orchestrator/record.h"

#include <errno.h>
#include <stdio.h>

#include "common/log.h"
#include "common/redact.h"
#include "orchestrator/assignment.h"
#include "orchestrator/completion.h"
#include "orchestrator/log_forward.h"
#include "orchestrator/outcome.h"

struct record {
	const char *execution, *trace;
	struct redactor *redactor;
	struct log_forward *log;
	struct completion *completion;
	bool told_short;        /* the notice about short secrets is out */
	bool flushed;           /* the log is committed */
	struct outcome *ending; /* waits for that */
	const struct record_ops *ops;
	void *ctx;
};

static void record_refuse(struct record *r, const char *why)
{
	r->ops->on_refused(r->ctx, why);
}

/* --- the log -------------------------------------------------------------- */

static void record_on_full(void *ctx)
{
	struct record *r = ctx;

	r->ops->on_full(r->ctx);
}

static void record_on_room(void *ctx)
{
	struct record *r = ctx;

	r->ops->on_room(r->ctx);
}

static void record_on_upload(void *ctx, const struct log_point *from,
			     const struct log_point *to)
{
	struct record *r = ctx;

	r->ops->on_upload(r->ctx, from, to);
}

static void record_on_taken(void *ctx, const struct log_position *at)
{
	struct record *r = ctx;

	r->ops->on_taken(r->ctx, at);
}

static void record_on_resumed(void *ctx)
{
	struct record *r = ctx;

	r->ops->on_resumed(r->ctx);
}

static int record_complete(struct record *r)
{
	return completion_finish(r->completion, r->ending,
				 log_forward_dropped(r->log));
}

static void record_on_flushed(void *ctx)
{
	struct record *r = ctx;

	r->flushed = true;
	if (r->ending && record_complete(r) < 0)
		record_refuse(r, "out of memory");
}

static void record_on_refused(void *ctx, const char *why)
{
	record_refuse(ctx, why);
}

int record_output(struct record *r, enum frame_type type, const void *data,
		  size_t len)
{
	return log_forward_write(r->log, type, data, len);
}

int record_runner_notice(struct record *r, const char *line, size_t len)
{
	return log_forward_runner_notice(r->log, line, len);
}

int record_resume(struct record *r, const struct log_point *from,
		  const struct log_point *to)
{
	return log_forward_resume(r->log, from, to);
}

void record_notice(struct record *r, const char *line)
{
	if (log_forward_notice(r->log, line) < 0)
		log_write(LOG_LEVEL_ERROR, r->execution, r->trace,
			  "out of memory: a notice is left out");
}

bool record_secret(struct record *r, const void *value, size_t len)
{
	int e = redactor_add(r->redactor, value, len);

	if (e == REDACT_E_SHORT && !r->told_short) {
		r->told_short = true;
		record_notice(r, "a secret shorter than 6 characters cannot "
				 "be masked in this log");
	} else if (e == REDACT_E_FULL) {
		record_notice(r, "too many secrets for one job: the next is "
				 "withheld, because it could not be masked");
	}
	return e == 0 || e == REDACT_E_SHORT;
}

void record_finish_log(struct record *r)
{
	if (log_forward_finish(r->log) < 0)
		log_write(LOG_LEVEL_ERROR, r->execution, r->trace,
			  "out of memory: the end of the log is lost");
}

/* --- beginning and end ---------------------------------------------------- */

static void record_on_started(void *ctx)
{
	struct record *r = ctx;

	r->ops->on_started(r->ctx);
}

static void record_on_accepted(void *ctx)
{
	struct record *r = ctx;

	r->ops->on_ended(r->ctx);
}

int record_started(struct record *r, const char *pod, const char *executor)
{
	return completion_started(r->completion, pod, executor);
}

int record_end(struct record *r, const struct outcome *outcome)
{
	r->ending = malloc(sizeof(*r->ending));
	if (!r->ending)
		return -ENOMEM;
	*r->ending = *outcome;
	return r->flushed ? record_complete(r) : 0;
}

int record_release(struct record *r, const char *reason)
{
	return completion_release(r->completion, true, reason);
}

/* --- life ----------------------------------------------------------------- */

int record_mask_token(struct record *r, const char *token)
{
	struct buf quoted = { 0 };
	int e;

	e = buf_printf(&quoted, "\"%s\"", token);
	if (!e)
		e = redactor_add(r->redactor, quoted.data, quoted.len);
	buf_deinit_secret(&quoted);
	return e < 0 ? e : 0;
}

static int record_init_log(struct record *r, struct event_base *base,
			   struct backend_client *client,
			   const struct assignment *a)
{
	static const struct log_forward_ops ops = {
		.on_full = record_on_full,
		.on_room = record_on_room,
		.on_upload = record_on_upload,
		.on_taken = record_on_taken,
		.on_resumed = record_on_resumed,
		.on_flushed = record_on_flushed,
		.on_refused = record_on_refused,
	};
	const struct log_forward_config config = {
		.base = base,
		.client = client,
		.redactor = r->redactor,
		.execution = a->execution,
		.trace = a->trace,
		.epoch = a->epoch,
	};

	return log_forward_new(&r->log, &config, &ops, r);
}

static int record_init(struct record *r, struct event_base *base,
		       struct backend_client *client,
		       const struct assignment *a)
{
	static const struct completion_ops ops = {
		.on_started = record_on_started,
		.on_accepted = record_on_accepted,
		.on_refused = record_on_refused,
	};
	int e;

	e = redactor_new(&r->redactor);
	/* Of an execution that is taken up they are told later. */
	if (!e && a->runtime_token)
		e = record_mask_token(r, a->runtime_token);
	if (!e && a->backend_token)
		e = record_mask_token(r, a->backend_token);
	if (!e)
		e = record_init_log(r, base, client, a);
	if (!e)
		e = completion_new(&r->completion, base, client, a->execution,
				   a->epoch, &ops, r);
	return e;
}

int record_new(struct record **out, struct event_base *base,
	       struct backend_client *client, const struct assignment *a,
	       const struct record_ops *ops, void *ctx)
{
	struct record *r = calloc(1, sizeof(*r));
	int e;

	*out = NULL;
	if (!r)
		return -ENOMEM;
	r->execution = a->execution;
	r->trace = a->trace;
	r->ops = ops;
	r->ctx = ctx;
	e = record_init(r, base, client, a);
	if (e < 0) {
		record_free(r);
		return e;
	}
	*out = r;
	return 0;
}

void record_free(struct record *r)
{
	if (!r)
		return;
	completion_free(r->completion);
	log_forward_free(r->log);
	redactor_free(r->redactor);
	free(r->ending);
	free(r);
}
