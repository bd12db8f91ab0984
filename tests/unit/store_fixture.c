#include "store_fixture.h"

#include <event2/event.h>
#include <ftw.h>
#include <libpq-fe.h>
#include <setjmp.h>
#include <sqlite3.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "backend/store_admin.h"
#include "backend/store_agent.h"
#include "backend/store_host.h"
#include "backend/store_job.h"
#include "backend/store_log.h"
#include "backend/store_no_wait.h"
#include "backend/store_queue.h"
#include "backend/store_session.h"
#include "backend/store_stream.h"
#include "backend/store_tool.h"
#include "backend/store_variable.h"
#include "common/clock.h"

static const uint8_t fixture_key[VAULT_KEY_BYTES] =
	"an example of a key, 32 bytes..";

/* ---------------------------------------------------------- the database */

bool store_fixture_is_postgres(void)
{
	const char *url = getenv("CRONIUM_TEST_STORE");

	return url && *url;
}

static PGresult *postgres_result(struct store_fixture *f, const char *sql)
{
	PGconn *link = PQconnectdb(getenv("CRONIUM_TEST_STORE"));
	char text[2048];
	PGresult *result;

	assert_int_equal(PQstatus(link), CONNECTION_OK);
	snprintf(text, sizeof(text),
		 "SET client_min_messages = error; SET search_path TO %s; %s",
		 f->schema, sql);
	result = PQexec(link, text);
	if (PQresultStatus(result) == PGRES_FATAL_ERROR)
		fail_msg("%s: %s", sql, PQerrorMessage(link));
	PQfinish(link);
	return result;
}

static int64_t postgres_number(struct store_fixture *f, const char *sql)
{
	PGresult *result = postgres_result(f, sql);
	int64_t n = PQntuples(result) ? atoll(PQgetvalue(result, 0, 0)) : 0;

	PQclear(result);
	return n;
}

static int64_t sqlite_number(struct store_fixture *f, const char *sql)
{
	char path[128];
	sqlite3_stmt *stmt;
	sqlite3 *db;
	int64_t n = 0;

	snprintf(path, sizeof(path), "%s/cronium.db", f->dir);
	assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
	assert_int_equal(sqlite3_prepare_v2(db, sql, -1, &stmt, NULL),
			 SQLITE_OK);
	if (sqlite3_step(stmt) == SQLITE_ROW)
		n = sqlite3_column_int64(stmt, 0);
	assert_int_equal(sqlite3_finalize(stmt), SQLITE_OK);
	sqlite3_close(db);
	return n;
}

int64_t store_fixture_sql(struct store_fixture *f, const char *sql)
{
	return *f->url ? postgres_number(f, sql) : sqlite_number(f, sql);
}

/* A row as text has its bytes in hexadecimal digits. */
static bool postgres_holds(struct store_fixture *f, const char *text)
{
	PGresult *tables =
		postgres_result(f, "SELECT tablename FROM pg_tables "
				   "WHERE schemaname = current_schema()");
	int64_t n = 0;

	assert_true(PQntuples(tables) > 0);
	for (int i = 0; i < PQntuples(tables); i++) {
		char sql[512];

		snprintf(sql, sizeof(sql),
			 "SELECT count(*) FROM %s AS t WHERE "
			 "position('%s' in t::text) > 0 OR "
			 "position(encode('%s', 'hex') in t::text) > 0",
			 PQgetvalue(tables, i, 0), text, text);
		n += postgres_number(f, sql);
	}
	PQclear(tables);
	return n > 0;
}

static bool file_holds(const char *dir, const char *name, const char *text)
{
	_cleanup_(buf_deinit) struct buf data = { 0 };
	char path[256], part[65536];
	size_t n;
	FILE *f;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	f = fopen(path, "re");
	if (!f)
		return false;
	while ((n = fread(part, 1, sizeof(part), f)) > 0)
		assert_int_equal(buf_append(&data, part, n), 0);
	fclose(f);
	return memmem(data.data, data.len, text, strlen(text));
}

bool store_fixture_holds(struct store_fixture *f, const char *text)
{
	if (*f->url)
		return postgres_holds(f, text);
	return file_holds(f->dir, "cronium.db", text) ||
	       file_holds(f->dir, "cronium.db-wal", text);
}

static void store_fixture_name_schema(struct store_fixture *f)
{
	const char *url = getenv("CRONIUM_TEST_STORE");

	if (!store_fixture_is_postgres())
		return;
	snprintf(f->schema, sizeof(f->schema), "test_%d_%08lx", getpid(),
		 random() ^ (long)clock_mono_us());
	snprintf(f->url, sizeof(f->url), "%s%cschema=%s", url,
		 strchr(url, '?') ? '&' : '?', f->schema);
}

static void store_fixture_drop_schema(struct store_fixture *f)
{
	char sql[128];

	if (!*f->url)
		return;
	snprintf(sql, sizeof(sql), "DROP SCHEMA IF EXISTS %s CASCADE",
		 f->schema);
	PQclear(postgres_result(f, sql));
}

/* ---------------------------------------------------------- set-up */

int store_fixture_try_open(struct store_fixture *f, char *err, size_t err_size)
{
	struct store_config config = { .data_dir = f->dir,
				       .url = *f->url ? f->url : NULL,
				       .vault = f->vault };

	return store_open(&f->store, f->base, &config, err, err_size);
}

void store_fixture_open(struct store_fixture *f)
{
	char err[512];

	if (store_fixture_try_open(f, err, sizeof(err)) < 0)
		fail_msg("%s", err);
}

void store_fixture_close(struct store_fixture *f)
{
	store_close(f->store);
	f->store = NULL;
}

int store_fixture_setup(void **state)
{
	struct store_fixture *f = calloc(1, sizeof(*f));

	strcpy(f->dir, "/tmp/cronium-store-XXXXXX");
	assert_non_null(mkdtemp(f->dir));
	f->base = event_base_new();
	assert_int_equal(vault_new(&f->vault, fixture_key), 0);
	store_fixture_name_schema(f);
	store_fixture_open(f);
	*state = f;
	return 0;
}

static int remove_entry(const char *path, const struct stat *st, int type,
			struct FTW *ftw)
{
	(void)st;
	(void)type;
	(void)ftw;
	return remove(path);
}

static void store_fixture_remove_dir(const char *dir)
{
	nftw(dir, remove_entry, 8, FTW_DEPTH | FTW_PHYS);
}

int store_fixture_teardown(void **state)
{
	struct store_fixture *f = *state;

	store_fixture_close(f);
	vault_free(f->vault);
	event_base_free(f->base);
	arena_deinit(&f->arena, false);
	store_fixture_remove_dir(f->dir);
	store_fixture_drop_schema(f);
	free(f);
	return 0;
}

void store_fixture_open_second(const struct store_fixture *f,
			       struct store_fixture *second)
{
	assert_true(*f->url);
	*second = *f;
	second->store = NULL;
	second->arena = (struct arena){ 0 };
	store_fixture_open(second);
}

void store_fixture_close_second(struct store_fixture *second)
{
	store_fixture_close(second);
	arena_deinit(&second->arena, false);
}

/* ---------------------------------------------------------- replies */

static void copy_str(struct arena *a, const char **s)
{
	*s = arena_strdup(a, *s);
}

static void copy_blob(struct arena *a, struct store_blob *b)
{
	b->data = arena_dup(a, b->data, b->len);
}

static void copy_job(struct arena *a, struct store_job *j)
{
	copy_str(a, &j->id);
	copy_str(a, &j->name);
	copy_str(a, &j->runtime);
	copy_str(a, &j->executor);
	copy_str(a, &j->execution);
	copy_str(a, &j->agent);
	copy_str(a, &j->pod);
	copy_str(a, &j->reason);
	copy_str(a, &j->cancel_reason);
	copy_str(a, &j->want_agent);
	copy_str(a, &j->parent);
	copy_str(a, &j->input_from);
	copy_str(a, &j->trace_id);
	copy_str(a, &j->signature);
	copy_str(a, &j->host);
	copy_str(a, &j->want_labels);
	copy_str(a, &j->session);
	copy_str(a, &j->session_name);
	copy_str(a, &j->session_reason);
	copy_blob(a, &j->labels);
	copy_blob(a, &j->spec);
	copy_blob(a, &j->telemetry);
}

static void copy_jobs(struct reply *reply)
{
	struct arena *a = &reply->fixture->arena;
	size_t n = reply->result.jobs.n;
	struct store_job *jobs = arena_dup(a, reply->result.jobs.items,
					   n * sizeof(*jobs));

	for (size_t i = 0; i < n; i++)
		copy_job(a, &jobs[i]);
	reply->result.jobs.items = jobs;
}

static void copy_session(struct arena *a, struct store_session *s)
{
	copy_str(a, &s->id);
	copy_str(a, &s->name);
	copy_str(a, &s->reason);
}

static void copy_sessions(struct reply *reply)
{
	struct arena *a = &reply->fixture->arena;
	size_t n = reply->result.sessions.n;
	struct store_session *items = arena_dup(a, reply->result.sessions.items,
						n * sizeof(*items));

	for (size_t i = 0; i < n; i++)
		copy_session(a, &items[i]);
	reply->result.sessions.items = items;
}

static void copy_host_of(struct arena *a, struct store_host *h)
{
	copy_str(a, &h->name);
	copy_str(a, &h->user);
	copy_str(a, &h->address);
	copy_str(a, &h->host_key);
	copy_str(a, &h->mode);
}

static void copy_claim(struct reply *reply)
{
	copy_blob(&reply->fixture->arena, &reply->result.claim.script);
	copy_blob(&reply->fixture->arena, &reply->result.claim.input);
	if (reply->result.claim.host) {
		struct store_host *h = arena_dup(&reply->fixture->arena,
						 reply->result.claim.host,
						 sizeof(*h));

		copy_host_of(&reply->fixture->arena, h);
		reply->result.claim.host = h;
	}
}

static void copy_payload(struct reply *reply)
{
	copy_blob(&reply->fixture->arena, &reply->result.blob);
}

static void copy_variable(struct reply *reply)
{
	copy_str(&reply->fixture->arena, &reply->result.variable.key);
	copy_blob(&reply->fixture->arena, &reply->result.variable.value);
}

static void copy_variables(struct reply *reply)
{
	struct arena *a = &reply->fixture->arena;
	size_t n = reply->result.variables.n;
	struct store_variable *items =
		arena_dup(a, reply->result.variables.items, n * sizeof(*items));

	for (size_t i = 0; i < n; i++)
		copy_str(a, &items[i].key);
	reply->result.variables.items = items;
}

static void copy_changes(struct reply *reply)
{
	struct arena *a = &reply->fixture->arena;
	size_t n = reply->result.changes.n;
	struct store_change *items = arena_dup(a, reply->result.changes.items,
					       n * sizeof(*items));

	for (size_t i = 0; i < n; i++) {
		copy_str(a, &items[i].key);
		copy_blob(a, &items[i].value);
	}
	reply->result.changes.items = items;
	copy_str(a, &reply->result.changes.now.key);
	copy_blob(a, &reply->result.changes.now.value);
}

static void copy_heartbeat(struct reply *reply)
{
	struct arena *a = &reply->fixture->arena;
	struct store_result *res = &reply->result;
	struct store_stop *stops = arena_dup(a, res->heartbeat.cancel,
					     res->heartbeat.n_cancel *
						     sizeof(*stops));
	const char **lost = arena_dup(a, res->heartbeat.lost,
				      res->heartbeat.n_lost * sizeof(*lost));

	for (size_t i = 0; i < res->heartbeat.n_cancel; i++) {
		copy_str(a, &stops[i].execution);
		copy_str(a, &stops[i].reason);
	}
	for (size_t i = 0; i < res->heartbeat.n_lost; i++)
		copy_str(a, &lost[i]);
	res->heartbeat.cancel = stops;
	res->heartbeat.lost = lost;
}

static void copy_log(struct reply *reply)
{
	struct buf text = { 0 };

	for (size_t i = 0; i < reply->result.log.n; i++) {
		const struct store_log_chunk *c = &reply->result.log.chunks[i];

		assert_int_equal(buf_printf(&text, "%c:%.*s", " oen"[c->stream],
					    (int)c -> data.len,
					    (char *)c->data.data),
				 0);
	}
	reply->log = arena_dup(&reply->fixture->arena,
			       text.data ? (char *)text.data : "", text.len);
	buf_deinit(&text);
}

static void copy_audit(struct reply *reply)
{
	struct arena *a = &reply->fixture->arena;
	size_t n = reply->result.audit.n;
	struct store_audit_entry *items =
		arena_dup(a, reply->result.audit.items, n * sizeof(*items));

	for (size_t i = 0; i < n; i++) {
		copy_str(a, &items[i].entry.who);
		copy_str(a, &items[i].entry.action);
		copy_str(a, &items[i].entry.target);
		copy_str(a, &items[i].entry.result);
	}
	reply->result.audit.items = items;
}

static void copy_api_keys(struct reply *reply)
{
	struct arena *a = &reply->fixture->arena;
	size_t n = reply->result.api_keys.n;
	struct store_api_key *items = arena_dup(a, reply->result.api_keys.items,
						n * sizeof(*items));

	for (size_t i = 0; i < n; i++) {
		copy_str(a, &items[i].id);
		copy_str(a, &items[i].name);
	}
	reply->result.api_keys.items = items;
}

static void copy_host(struct reply *reply)
{
	copy_host_of(&reply->fixture->arena, &reply->result.host);
}

static void copy_hosts(struct reply *reply)
{
	struct arena *a = &reply->fixture->arena;
	size_t n = reply->result.hosts.n;
	struct store_host *items = arena_dup(a, reply->result.hosts.items,
					     n * sizeof(*items));

	for (size_t i = 0; i < n; i++)
		copy_host_of(a, &items[i]);
	reply->result.hosts.items = items;
}

static void copy_agent_of(struct arena *a, struct store_agent *agent)
{
	copy_str(a, &agent->name);
	copy_str(a, &agent->executors);
	copy_str(a, &agent->labels);
	copy_str(a, &agent->address);
	copy_str(a, &agent->backend);
	copy_str(a, &agent->code);
	copy_str(a, &agent->problem);
	copy_blob(a, &agent->snapshot);
	copy_blob(a, &agent->pods);
}

static void copy_agent(struct reply *reply)
{
	copy_agent_of(&reply->fixture->arena, &reply->result.agent);
}

static void copy_agents(struct reply *reply)
{
	struct arena *a = &reply->fixture->arena;
	size_t n = reply->result.agents.n;
	struct store_agent *items = arena_dup(a, reply->result.agents.items,
					      n * sizeof(*items));

	for (size_t i = 0; i < n; i++)
		copy_agent_of(a, &items[i]);
	reply->result.agents.items = items;
}

static void copy_tool(struct reply *reply)
{
	copy_blob(&reply->fixture->arena, &reply->result.tool.reply);
}

static void copy_stream(struct reply *reply)
{
	copy_blob(&reply->fixture->arena, &reply->result.stream.data);
	copy_str(&reply->fixture->arena, &reply->result.stream.job);
	copy_str(&reply->fixture->arena, &reply->result.stream.reason);
}

static void copy_streams(struct reply *reply)
{
	copy_str(&reply->fixture->arena, &reply->result.streams.input.from);
}

static const struct {
	void (*op)(void);
	void (*copy)(struct reply *reply);
} copiers[] = {
	{ (void (*)(void))store_job_list, copy_jobs },
	{ (void (*)(void))store_job_cancel_orphans, copy_jobs },
	{ (void (*)(void))store_queue_expire, copy_jobs },
	{ (void (*)(void))store_queue_due, copy_jobs },
	{ (void (*)(void))store_job_no_wait, copy_jobs },
	{ (void (*)(void))store_session_list, copy_sessions },
	{ (void (*)(void))store_host_put, copy_host },
	{ (void (*)(void))store_host_get, copy_host },
	{ (void (*)(void))store_host_list, copy_hosts },
	{ (void (*)(void))store_agent_connect, copy_agent },
	{ (void (*)(void))store_agent_drain, copy_agent },
	{ (void (*)(void))store_agent_get, copy_agent },
	{ (void (*)(void))store_agent_list, copy_agents },
	{ (void (*)(void))store_tool_begin, copy_tool },
	{ (void (*)(void))store_queue_claim, copy_claim },
	{ (void (*)(void))store_queue_heartbeat, copy_heartbeat },
	{ (void (*)(void))store_job_read, copy_payload },
	{ (void (*)(void))store_log_read, copy_log },
	{ (void (*)(void))store_stream_read, copy_stream },
	{ (void (*)(void))store_stream_get, copy_streams },
	{ (void (*)(void))store_variable_get, copy_variable },
	{ (void (*)(void))store_variable_put, copy_variable },
	{ (void (*)(void))store_variable_increment, copy_variable },
	{ (void (*)(void))store_variable_list, copy_variables },
	{ (void (*)(void))store_variable_delete, copy_variable },
	{ (void (*)(void))store_change_list, copy_changes },
	{ (void (*)(void))store_audit_list, copy_audit },
	{ (void (*)(void))store_api_key_list, copy_api_keys },
};

static void on_done(int r, const struct store_result *result, void *ctx)
{
	struct reply *reply = ctx;

	assert_false(reply->done);
	reply->r = r;
	reply->done = true;
	reply->result = *result;
	if (r < 0) /* then only the message is to be looked at */
		reply->result =
			(struct store_result){ .message = result->message };
	copy_str(&reply->fixture->arena, &reply->result.message);
	copy_job(&reply->fixture->arena, &reply->result.job);
	copy_session(&reply->fixture->arena, &reply->result.session);
	for (size_t i = 0; i < ARRAY_SIZE(copiers); i++)
		if (copiers[i].op == reply->op)
			copiers[i].copy(reply);
	if (r)
		assert_non_null(result->message);
}

struct store_done store_fixture_done(struct store_fixture *f,
				     struct reply *reply, void (*op)(void))
{
	*reply = (struct reply){ .fixture = f, .op = op };
	return (struct store_done){ .fn = on_done, .ctx = reply };
}

int store_fixture_wait(struct reply *reply)
{
	while (!reply->done)
		assert_int_equal(
			event_base_loop(reply->fixture->base, EVLOOP_ONCE), 0);
	return reply->r;
}

/* ---------------------------------------------------------- steps */

int submit_job(struct store_fixture *f, const char *id)
{
	struct store_job_new job = { .id = id,
				     .name = "hello.py",
				     .runtime = "python",
				     .executor = "sandbox",
				     .spec = STORE_STR("{\"a\":1}"),
				     .script = STORE_STR("print(1)"),
				     .input = STORE_STR("[1]"),
				     .labels = STORE_STR("{}") };
	struct reply reply;

	return STORE_WAIT(f, &reply, store_job_submit, &job);
}

int claim_job(struct store_fixture *f, const char *execution,
	      struct reply *reply)
{
	struct store_claim claim = { .execution = execution,
				     .agent = "agent",
				     .executors = "docker,sandbox",
				     .lease_ms = 30000 };

	return STORE_WAIT(f, reply, store_queue_claim, &claim);
}

int start_execution(struct store_fixture *f, const char *execution,
		    int64_t epoch)
{
	struct store_started started = { .lease = { execution, epoch },
					 .pod = "pod_1",
					 .executor = "sandbox" };
	struct reply reply;

	return STORE_WAIT(f, &reply, store_queue_started, &started);
}

int complete_execution(struct store_fixture *f, const char *execution,
		       int64_t epoch, enum job_state state, struct reply *reply)
{
	struct store_complete complete = {
		.lease = { execution, epoch },
		.state = state,
		.has_exit_code = true,
		.exit_code = 3,
		.usage = { .user_us = 1, .system_us = 2, .max_rss_kb = 3 },
	};

	return STORE_WAIT(f, reply, store_queue_complete, &complete);
}

enum job_state job_state_of(struct store_fixture *f, const char *id)
{
	struct reply reply;

	assert_int_equal(STORE_WAIT(f, &reply, store_job_get, id), 0);
	return reply.result.job.state;
}

int put_variable(struct store_fixture *f, const char *key, const char *value,
		 int64_t expect, struct reply *reply)
{
	struct store_variable_put put = { .key = key,
					  .value = STORE_STR(value),
					  .expect = expect };

	return STORE_WAIT(f, reply, store_variable_put, &put);
}

const char *variable_value(struct store_fixture *f, const char *key)
{
	struct reply reply;

	if (STORE_WAIT(f, &reply, store_variable_get, key))
		return NULL;
	assert_int_equal(reply.result.variable.value.len,
			 reply.result.variable.bytes);
	return reply.result.variable.value.data;
}

/* The variable as its last change has it. */
static void check_last_change(struct store_fixture *f,
			      const struct store_change *c)
{
	struct store_change_query later = { .key = c->key,
					    .after = c->version,
					    .limit = 1 };
	struct reply reply;

	assert_int_equal(STORE_WAIT(f, &reply, store_change_list, &later), 0);
	if (reply.result.changes.n)
		return;
	assert_int_equal(STORE_WAIT(f, &reply, store_variable_get, c->key),
			 c->deleted ? STORE_E_NOT_FOUND : 0);
	if (!c->deleted)
		assert_int_equal(reply.result.variable.version, c->version);
}

void check_changes(struct store_fixture *f)
{
	struct store_change_query query = { .after = STORE_CHANGES_NONE,
					    .limit = STORE_LIST_MAX };
	int64_t position;
	struct reply reply;

	assert_int_equal(STORE_WAIT(f, &reply, store_change_list, &query), 0);
	position = reply.result.changes.position;
	query.after = MAX(position - STORE_CHANGES_MAX, 0);
	do {
		assert_int_equal(
			STORE_WAIT(f, &reply, store_change_list, &query), 0);
		assert_false(reply.result.changes.reset);
		for (size_t i = 0; i < reply.result.changes.n; i++) {
			const struct store_change *c =
				&reply.result.changes.items[i];

			assert_int_equal(c->version, ++query.after);
			check_last_change(f, c);
		}
	} while (reply.result.changes.more);
	assert_int_equal(query.after, position);
}
