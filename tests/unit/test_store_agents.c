/* Agents in the store, which jobs they are given, and in which order. */
#include "backend/store_agent.h"
#include "backend/store_session.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "backend/store_job.h"
#include "backend/store_queue.h"
#include "store_fixture.h"

static void connect_agent(struct store_fixture *f, const char *name,
			  const char *labels, struct reply *reply)
{
	const struct store_agent_connect c = { .name = name,
					       .executors = "docker,sandbox",
					       .address = "unix",
					       .labels = labels,
					       .backend = "be_1",
					       .slots = 4 };

	assert_int_equal(STORE_WAIT(f, reply, store_agent_connect, &c), 0);
}

static void submit_on(struct store_fixture *f, const char *id,
		      const char *want_agent, const char *want_labels)
{
	struct store_job_new job = { .id = id,
				     .name = "a",
				     .runtime = "bash",
				     .executor = "auto",
				     .want_agent = want_agent,
				     .want_labels = want_labels };
	struct reply reply;

	assert_int_equal(STORE_WAIT(f, &reply, store_job_submit, &job), 0);
}

/* The job that the agent is given; NULL for none. */
static const char *claimed(struct store_fixture *f, const char *agent,
			   const char *labels, struct reply *reply)
{
	static int n;
	char execution[32];
	struct store_claim claim = { .execution = execution,
				     .agent = agent,
				     .executors = "docker,sandbox",
				     .labels = labels,
				     .lease_ms = 30000 };
	int r;

	snprintf(execution, sizeof(execution), "ex_for_%d", n++);
	r = STORE_WAIT(f, reply, store_queue_claim, &claim);
	if (r == STORE_E_NOT_FOUND)
		return NULL;
	assert_int_equal(r, 0);
	return reply->result.job.id;
}

static int drain(struct store_fixture *f, const char *name, bool drained,
		 struct reply *reply)
{
	const struct store_agent_drain d = {
		.name = name,
		.drained = drained,
		.audit = { .who = "uid:0", .action = "agent.drain" },
	};

	return STORE_WAIT(f, reply, store_agent_drain, &d);
}

/* ---------------------------------------------------------------- agents */

static void test_an_agent_is_kept(void **state)
{
	struct store_fixture *f = *state;
	const struct store_agent *a;
	struct reply reply;

	connect_agent(f, "one", "zone=a", &reply);
	connect_agent(f, "two", "", &reply);
	assert_int_equal(STORE_WAIT0(f, &reply, store_agent_list), 0);
	assert_int_equal(reply.result.agents.n, 2);
	a = &reply.result.agents.items[0];
	assert_string_equal(a->name, "one");
	assert_string_equal(a->labels, "zone=a");
	assert_string_equal(a->executors, "docker,sandbox");
	assert_string_equal(a->backend, "be_1");
	assert_int_equal(a->slots, 4);
	assert_int_equal(a->running, 0);
	assert_true(a->accepting && !a->drained);
	assert_true(a->seen_ms > 0 && a->seen_ms == a->connected_ms);
	submit_on(f, "job_1", "one", NULL);
	assert_non_null(claimed(f, "one", NULL, &reply));
	assert_int_equal(STORE_WAIT(f, &reply, store_agent_get, "one"), 0);
	assert_int_equal(reply.result.agent.running, 1);
	assert_int_equal(STORE_WAIT(f, &reply, store_agent_get, "three"),
			 STORE_E_NOT_FOUND);
}

static void test_a_drained_agent_gets_nothing(void **state)
{
	struct store_fixture *f = *state;
	struct reply reply;

	assert_int_equal(drain(f, "one", true, &reply), STORE_E_NOT_FOUND);
	connect_agent(f, "one", "", &reply);
	submit_on(f, "job_1", NULL, NULL);
	assert_int_equal(drain(f, "one", true, &reply), 0);
	assert_true(reply.result.agent.drained);
	assert_null(claimed(f, "one", NULL, &reply));
	/* That stays, whatever becomes of its stream and of the backend. */
	connect_agent(f, "one", "", &reply);
	assert_true(reply.result.agent.drained);
	store_fixture_close(f);
	store_fixture_open(f);
	assert_null(claimed(f, "one", NULL, &reply));
	assert_int_equal(drain(f, "one", false, &reply), 0);
	assert_string_equal(claimed(f, "one", NULL, &reply), "job_1");
}

static void test_one_that_accepts_nothing(void **state)
{
	struct store_fixture *f = *state;
	struct store_heartbeat beat = {
		.agent = "one",
		.lease_ms = 30000,
		.status = { .given = true,
			    .code = "guard",
			    .problem = "memory is at 93 %",
			    .snapshot = STORE_STR("{\"cores\":2}"),
			    .pods = STORE_STR("[]") },
	};
	const struct store_agent *a;
	struct reply reply;

	connect_agent(f, "one", "", &reply);
	submit_on(f, "job_1", NULL, NULL);
	assert_int_equal(STORE_WAIT(f, &reply, store_queue_heartbeat, &beat),
			 0);
	assert_null(claimed(f, "one", NULL, &reply));
	assert_int_equal(STORE_WAIT(f, &reply, store_agent_get, "one"), 0);
	a = &reply.result.agent;
	assert_false(a->accepting);
	assert_string_equal(a->code, "guard");
	assert_string_equal(a->problem, "memory is at 93 %");
	assert_memory_equal(a->snapshot.data, "{\"cores\":2}", 11);
	/* A beat that says nothing of it changes nothing. */
	beat.status = (struct store_agent_status){ 0 };
	assert_int_equal(STORE_WAIT(f, &reply, store_queue_heartbeat, &beat),
			 0);
	assert_null(claimed(f, "one", NULL, &reply));
	beat.status = (struct store_agent_status){ .given = true,
						   .accepting = true };
	assert_int_equal(STORE_WAIT(f, &reply, store_queue_heartbeat, &beat),
			 0);
	assert_string_equal(claimed(f, "one", NULL, &reply), "job_1");
}

static void test_forgetting(void **state)
{
	struct store_fixture *f = *state;
	const struct store_agent_forget forget = { .name = "one" };
	struct store_agent_disconnect leave = { .name = "one",
						.backend = "be_2" };
	struct reply reply;

	assert_int_equal(STORE_WAIT(f, &reply, store_agent_forget, &forget),
			 STORE_E_NOT_FOUND);
	connect_agent(f, "one", "", &reply);
	assert_int_equal(STORE_WAIT(f, &reply, store_agent_forget, &forget),
			 STORE_E_STATE);
	/* Another backend, that it was with before, has nothing to say. */
	assert_int_equal(STORE_WAIT(f, &reply, store_agent_disconnect, &leave),
			 0);
	assert_int_equal(STORE_WAIT(f, &reply, store_agent_forget, &forget),
			 STORE_E_STATE);
	leave.backend = "be_1";
	assert_int_equal(STORE_WAIT(f, &reply, store_agent_disconnect, &leave),
			 0);
	assert_int_equal(STORE_WAIT(f, &reply, store_agent_forget, &forget), 0);
	assert_int_equal(STORE_WAIT0(f, &reply, store_agent_list), 0);
	assert_int_equal(reply.result.agents.n, 0);
}

/* ---------------------------------------------------------------- labels */

static void test_labels(void **state)
{
	struct store_fixture *f = *state;
	struct reply reply;

	submit_on(f, "job_1", NULL, "gpu=yes,zone=a");
	submit_on(f, "job_2", NULL, "zone=b");
	submit_on(f, "job_3", NULL, "");
	submit_on(f, "job_4", "one", "zone=a");
	assert_string_equal(claimed(f, "two", "zone=a", &reply), "job_3");
	assert_null(claimed(f, "two", "zone=a", &reply));
	assert_null(claimed(f, "two", NULL, &reply));
	assert_string_equal(claimed(f, "two", "disk=ssd,zone=b", &reply),
			    "job_2");
	assert_string_equal(claimed(f, "one", "zone=a", &reply), "job_4");
	assert_string_equal(claimed(f, "one", "cpu=x,gpu=yes,zone=a", &reply),
			    "job_1");
}

/* Combinations that nothing waits with make room, but not at once. */
static void test_placements_are_bounded(void **state)
{
	struct store_fixture *f = *state;
	struct store_job_new job = { .id = "job_x",
				     .name = "a",
				     .runtime = "bash",
				     .executor = "auto" };
	char id[32], labels[32];
	struct reply reply;

	for (int i = 0; i < 1000; i++) {
		snprintf(id, sizeof(id), "job_%d", i);
		snprintf(labels, sizeof(labels), "n=%d", i);
		submit_on(f, id, NULL, labels);
	}
	job.want_labels = "n=1000";
	assert_int_equal(STORE_WAIT(f, &reply, store_job_submit, &job),
			 STORE_E_LIMIT);
	job.want_labels = "n=999";
	assert_int_equal(STORE_WAIT(f, &reply, store_job_submit, &job), 0);
	assert_string_equal(claimed(f, "one", "n=7", &reply), "job_7");
}

/* ------------------------------------------------------------------ turns */

/* One at a time of a line that is alone: in the order of submission. */
static void test_the_order_of_one_line(void **state)
{
	struct store_fixture *f = *state;
	struct store_lease lease = { NULL, 1 };
	struct reply reply;
	char id[32];

	for (int i = 0; i < 20; i++) {
		snprintf(id, sizeof(id), "job_%02d", i);
		submit_on(f, id, i % 3 ? NULL : "one", NULL);
	}
	assert_string_equal(claimed(f, "one", NULL, &reply), "job_00");
	/* What is given back has its old place. */
	lease.execution = reply.result.job.execution;
	assert_string_equal(claimed(f, "one", NULL, &reply), "job_01");
	assert_int_equal(STORE_WAIT(f, &reply, store_queue_give_back,
				    &(struct store_give_back){
					    .lease = lease }),
			 0);
	assert_string_equal(claimed(f, "one", NULL, &reply), "job_00");
	for (int i = 2; i < 20; i++) {
		snprintf(id, sizeof(id), "job_%02d", i);
		assert_string_equal(claimed(f, "one", NULL, &reply), id);
	}
}

static void submit_in(struct store_fixture *f, const char *id,
		      const char *session)
{
	struct store_job_new job = { .id = id,
				     .name = "a",
				     .runtime = "bash",
				     .executor = "auto",
				     .session = session };
	struct reply reply;

	assert_int_equal(STORE_WAIT(f, &reply, store_job_submit, &job), 0);
}

static void new_session(struct store_fixture *f, const char *id,
			const char *name)
{
	const struct store_session_new request = { .id = id, .name = name };
	struct reply reply;

	assert_int_equal(STORE_WAIT(f, &reply, store_session_new, &request), 0);
}

static void set_session(struct store_fixture *f, const char *name,
			enum session_state state)
{
	const struct store_session_set request = { .session = name,
						   .state = state };
	struct reply reply;

	assert_int_equal(STORE_WAIT(f, &reply, store_session_set, &request), 0);
}

static void check_order(struct store_fixture *f, const char *const *ids)
{
	struct reply reply;

	for (; *ids; ids++)
		assert_string_equal(claimed(f, "one", NULL, &reply), *ids);
}

/* A long line holds up the others by one job at a time. */
static void test_lines_are_served_in_turns(void **state)
{
	static const char *const first[] = { "job_0", "job_1", NULL };
	static const char *const then[] = { "job_2", "a_0", "b_0", "none_0",
					    "job_3", "a_1", "b_1", "job_4",
					    "a_2",   NULL };
	struct store_fixture *f = *state;
	struct reply reply;
	char id[32];

	new_session(f, "ses_1", "long");
	new_session(f, "ses_2", "a");
	new_session(f, "ses_3", "b");
	for (int i = 0; i < 100; i++) {
		snprintf(id, sizeof(id), "job_%d", i);
		submit_in(f, id, "long");
	}
	check_order(f, first);
	/* What was served before is nobody's credit: they begin now. */
	submit_in(f, "a_0", "a");
	submit_in(f, "a_1", "a");
	submit_in(f, "a_2", "a");
	submit_in(f, "b_0", "b");
	submit_in(f, "b_1", "b");
	submit_in(f, "none_0", NULL);
	check_order(f, then);
	for (int i = 5; i < 100; i++) {
		snprintf(id, sizeof(id), "job_%d", i);
		assert_string_equal(claimed(f, "one", NULL, &reply), id);
	}
	assert_null(claimed(f, "one", NULL, &reply));
}

/* Nor is it the credit of one that was paused. */
static void test_a_paused_line_begins_again(void **state)
{
	/* Of the same turn the older one is first: that is p's. */
	static const char *const order[] = { "p_0",  "c_20", "p_1",
					     "c_21", "c_22", NULL };
	struct store_fixture *f = *state;
	struct reply reply;
	char id[32];

	new_session(f, "ses_1", "p");
	submit_in(f, "p_0", "p");
	submit_in(f, "p_1", "p");
	set_session(f, "p", SESSION_PAUSED);
	for (int i = 0; i < 30; i++) {
		snprintf(id, sizeof(id), "c_%d", i);
		submit_in(f, id, NULL);
	}
	for (int i = 0; i < 20; i++) {
		snprintf(id, sizeof(id), "c_%d", i);
		assert_string_equal(claimed(f, "one", NULL, &reply), id);
	}
	set_session(f, "p", SESSION_ACTIVE);
	check_order(f, order);
}

#define T(name)                                                    \
	cmocka_unit_test_setup_teardown(name, store_fixture_setup, \
					store_fixture_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_an_agent_is_kept),
		T(test_a_drained_agent_gets_nothing),
		T(test_one_that_accepts_nothing),
		T(test_forgetting),
		T(test_labels),
		T(test_placements_are_bounded),
		T(test_the_order_of_one_line),
		T(test_lines_are_served_in_turns),
		T(test_a_paused_line_begins_again),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
