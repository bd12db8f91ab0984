#include "backend/store_sql_impl.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

#include "backend/db_postgres.h"
#include "backend/db_sqlite.h"
#include "backend/store_sql_key.h"
#include "backend/store_url.h"
#include "common/clock.h"

/* More than an attempt and the wait for the next one take. */
#define SQL_AWAY_KNOWN_MS 8000

sql_op_fn *const sql_ops[STORE_OPS] = {
	[STORE_OP_JOB_SUBMIT] = sql_job_submit,
	[STORE_OP_JOB_GET] = sql_job_get,
	[STORE_OP_JOB_LIST] = sql_job_list,
	[STORE_OP_JOB_COUNT] = sql_job_count,
	[STORE_OP_JOB_READ] = sql_job_read,
	[STORE_OP_JOB_CANCEL] = sql_job_cancel,
	[STORE_OP_JOB_FAIL] = sql_job_fail,
	[STORE_OP_JOB_NO_WAIT] = sql_job_no_wait,
	[STORE_OP_JOB_CANCEL_ORPHANS] = sql_job_cancel_orphans,
	[STORE_OP_QUEUE_CLAIM] = sql_queue_claim,
	[STORE_OP_QUEUE_GIVE_BACK] = sql_queue_give_back,
	[STORE_OP_QUEUE_STARTED] = sql_queue_started,
	[STORE_OP_QUEUE_HEARTBEAT] = sql_queue_heartbeat,
	[STORE_OP_QUEUE_COMPLETE] = sql_queue_complete,
	[STORE_OP_QUEUE_EXPIRE] = sql_queue_expire,
	[STORE_OP_QUEUE_DUE] = sql_queue_due,
	[STORE_OP_QUEUE_GRACE] = sql_queue_grace,
	[STORE_OP_QUEUE_RECOVER] = sql_queue_recover,
	[STORE_OP_LOG_APPEND] = sql_log_append,
	[STORE_OP_LOG_READ] = sql_log_read,
	[STORE_OP_STREAM_APPEND] = sql_stream_append,
	[STORE_OP_STREAM_READ] = sql_stream_read,
	[STORE_OP_STREAM_GET] = sql_stream_get,
	[STORE_OP_STREAM_SWEEP] = sql_stream_sweep,
	[STORE_OP_VARIABLE_GET] = sql_variable_get,
	[STORE_OP_VARIABLE_LIST] = sql_variable_list,
	[STORE_OP_VARIABLE_PUT] = sql_variable_put,
	[STORE_OP_VARIABLE_DELETE] = sql_variable_delete,
	[STORE_OP_VARIABLE_INCREMENT] = sql_variable_increment,
	[STORE_OP_CHANGE_LIST] = sql_change_list,
	[STORE_OP_EXECUTION_GET] = sql_execution_get,
	[STORE_OP_OUTPUT_SET] = sql_output_set,
	[STORE_OP_CONDITION_SET] = sql_condition_set,
	[STORE_OP_CONDITION_GET] = sql_condition_get,
	[STORE_OP_TOOL_BEGIN] = sql_tool_begin,
	[STORE_OP_TOOL_FINISH] = sql_tool_finish,
	[STORE_OP_SESSION_NEW] = sql_session_new,
	[STORE_OP_SESSION_SET] = sql_session_set,
	[STORE_OP_SESSION_GET] = sql_session_get,
	[STORE_OP_SESSION_LIST] = sql_session_list,
	[STORE_OP_HOST_PUT] = sql_host_put,
	[STORE_OP_HOST_DELETE] = sql_host_delete,
	[STORE_OP_HOST_GET] = sql_host_get,
	[STORE_OP_HOST_LIST] = sql_host_list,
	[STORE_OP_AGENT_CONNECT] = sql_agent_connect,
	[STORE_OP_AGENT_DISCONNECT] = sql_agent_disconnect,
	[STORE_OP_AGENT_DRAIN] = sql_agent_drain,
	[STORE_OP_AGENT_FORGET] = sql_agent_forget,
	[STORE_OP_AGENT_GET] = sql_agent_get,
	[STORE_OP_AGENT_LIST] = sql_agent_list,
	[STORE_OP_AUDIT_APPEND] = sql_audit_append,
	[STORE_OP_AUDIT_LIST] = sql_audit_list,
	[STORE_OP_API_KEY_ADD] = sql_api_key_add,
	[STORE_OP_API_KEY_DELETE] = sql_api_key_delete,
	[STORE_OP_API_KEY_TOUCH] = sql_api_key_touch,
	[STORE_OP_API_KEY_LIST] = sql_api_key_list,
};

/* ---------------------------------------------------------------- workers */

/* Waits for calls and takes one batch. False when closing and none is left. */
static bool worker_take(struct sql_worker *w, struct store_calls *batch)
{
	struct store_call *call;
	size_t n = 0, bytes = 0;

	STAILQ_INIT(batch);
	pthread_mutex_lock(&w->lock);
	while (STAILQ_EMPTY(&w->queue) && !w->closing)
		pthread_cond_wait(&w->wake, &w->lock);
	while (n < SQL_BATCH_MAX_CALLS && bytes < SQL_BATCH_MAX_BYTES &&
	       (call = STAILQ_FIRST(&w->queue))) {
		STAILQ_REMOVE_HEAD(&w->queue, queued);
		STAILQ_INSERT_TAIL(batch, call, queued);
		bytes += call->bytes;
		n++;
	}
	pthread_mutex_unlock(&w->lock);
	return n > 0;
}

static void *writer_main(void *arg)
{
	struct sql_worker *w = arg;
	struct store_calls batch;

	while (worker_take(w, &batch))
		sql_write_batch(w->store, &batch);
	return NULL;
}

static void *reader_main(void *arg)
{
	struct sql_worker *w = arg;
	struct store_calls batch;

	while (worker_take(w, &batch))
		sql_read_batch(w->store, &batch);
	return NULL;
}

static void worker_init(struct sql_worker *w, struct sql_store *s)
{
	w->store = s;
	STAILQ_INIT(&w->queue);
	pthread_mutex_init(&w->lock, NULL);
	pthread_cond_init(&w->wake, NULL);
}

/* Signals belong to the loop's thread. */
static int worker_start(struct sql_worker *w, void *(*main)(void *))
{
	sigset_t all, old;
	int r;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	r = -pthread_create(&w->thread, NULL, main, w);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	w->running = r == 0;
	return r;
}

static void worker_stop(struct sql_worker *w)
{
	if (w->running) {
		pthread_mutex_lock(&w->lock);
		w->closing = true;
		pthread_cond_signal(&w->wake);
		pthread_mutex_unlock(&w->lock);
		pthread_join(w->thread, NULL);
	}
	db_close(&w->db);
	pthread_mutex_destroy(&w->lock);
	pthread_cond_destroy(&w->wake);
}

/* ------------------------------------------------------------------ store */

static void sql_start(struct store *base, struct store_call *call)
{
	struct sql_store *s = (struct sql_store *)base;
	struct sql_worker *w = store_op_writes(call->op) ? &s->writer
							 : &s->reader;

	pthread_mutex_lock(&w->lock);
	STAILQ_INSERT_TAIL(&w->queue, call, queued);
	pthread_cond_signal(&w->wake);
	pthread_mutex_unlock(&w->lock);
}

/* An attempt is made at least that often while anybody waits for it; with
 * nobody it may be there again, unseen. */
static bool worker_is_away(const struct sql_worker *w)
{
	uint64_t tried_ms = atomic_load(&w->db.away_ms);

	return tried_ms && clock_mono_ms() - tried_ms < SQL_AWAY_KNOWN_MS;
}

static bool sql_away(const struct store *base)
{
	const struct sql_store *s = (const struct sql_store *)base;

	return worker_is_away(&s->reader) || worker_is_away(&s->writer);
}

static void sql_close(struct store *base)
{
	struct sql_store *s = (struct sql_store *)base;

	worker_stop(&s->reader);
	worker_stop(&s->writer); /* last: SQLite folds its log into the file */
	store_deinit(&s->base);
	store_url_deinit(&s->url);
	free(s);
}

static const struct store_ops sql_store_ops = {
	.name = "sql",
	.start = sql_start,
	.away = sql_away,
	.close = sql_close,
};

static int sql_open_db(struct sql_store *s, struct sql_worker *w,
		       const char *role, const struct store_config *config)
{
	const struct db_postgres_who who = { s->base.instance, role };

	if (s->url.kind == STORE_POSTGRES)
		return db_postgres_open(&w->db, &s->url, config->vault, &who);
	return db_sqlite_open(&w->db, s->url.where, config->vault);
}

static int sql_open_writer(struct sql_store *s,
			   const struct store_config *config)
{
	struct db *db = &s->writer.db;
	int r = sql_open_db(s, &s->writer, "writer", config);

	if (r == 0)
		r = db->driver->migrate(db, config);
	if (r == 0)
		r = sql_key_check(db);
	sql_note_server(s, db);
	return r;
}

static int sql_open(struct sql_store *s, const struct store_config *config,
		    char *err, size_t err_size)
{
	const struct db *db = &s->writer.db;
	int r = sql_open_writer(s, config);

	if (r == 0) {
		db = &s->reader.db;
		r = sql_open_db(s, &s->reader, "reader", config);
	}
	if (r < 0)
		snprintf(err, err_size, "%s",
			 *db->message ? db->message : strerror(-r));
	return r;
}

static int sql_start_workers(struct sql_store *s, char *err, size_t err_size)
{
	int r = worker_start(&s->writer, writer_main);

	if (r == 0)
		r = worker_start(&s->reader, reader_main);
	if (r < 0)
		snprintf(err, err_size, "cannot start a thread: %s",
			 strerror(-r));
	return r;
}

int store_open(struct store **out, struct event_base *base,
	       const struct store_config *config, char *err, size_t err_size)
{
	struct sql_store *s = calloc(1, sizeof(*s));
	int r;

	snprintf(err, err_size, "out of memory");
	if (!s)
		return -ENOMEM;
	s->base.url = &s->url;
	worker_init(&s->writer, s);
	worker_init(&s->reader, s);
	r = store_init(&s->base, &sql_store_ops, base);
	if (r == 0)
		r = store_url_parse(&s->url, config->url, config->data_dir, err,
				    err_size);
	if (r == 0)
		r = sql_open(s, config, err, err_size);
	if (r == 0)
		r = sql_start_workers(s, err, err_size);
	if (r < 0) {
		sql_close(&s->base);
		return r;
	}
	*out = &s->base;
	return 0;
}
