#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "backend/store_record.h"
#include "backend/waiting.h"
#include "common/json.h"

#define AGENT(n, e)                                                         \
	{                                                                   \
		.name = (n), .executors = (e), .slots = 2, .labelled = true \
	}

static struct waiting_agent box = AGENT("box", "sandbox");
static struct waiting_agent dock = AGENT("dock", "docker,sandbox");
static struct waiting_agent far = AGENT("far", "ssh");

static struct store_job queued(const char *executor)
{
	return (struct store_job){ .id = "job_1",
				   .executor = executor,
				   .state = JOB_QUEUED };
}

static void check(const struct store_job *job,
		  const struct waiting_agent *agents, size_t n,
		  enum waiting_code code, const char *message)
{
	const struct waiting_place place = { agents, n, NULL };
	struct waiting w;

	waiting_explain(job, &place, &w);
	assert_int_equal(w.code, code);
	assert_string_equal(w.message, message);
}

static void test_nothing_to_wait_for(void **state)
{
	const struct waiting_agent agents[] = { box, dock };
	struct store_job job = queued("auto");

	check(&job, agents, 2, WAITING_NONE, "");
	job.state = JOB_RUNNING;
	check(&job, agents, 0, WAITING_NONE, "");
}

static void test_session_and_retry(void **state)
{
	struct store_job job = queued("auto");

	job.not_before_ms = 1;
	job.reason = "attempt 1 failed (exit code 3)";
	check(&job, NULL, 0, WAITING_RETRY,
	      "attempt 1 failed (exit code 3); it is tried again after a "
	      "pause");
	job.held = true;
	job.session_name = "batch";
	check(&job, NULL, 0, WAITING_SESSION_PAUSED,
	      "its session batch is paused");
	job.session_reason = "the disk is being moved";
	check(&job, NULL, 0, WAITING_SESSION_PAUSED,
	      "its session batch is paused: the disk is being moved");
}

static void test_nobody(void **state)
{
	const struct waiting_agent agents[] = { box, far };
	struct store_job job = queued("auto");

	check(&job, agents, 0, WAITING_NO_AGENT,
	      "no orchestrator is connected");
	check(&job, agents + 1, 1, WAITING_EXECUTOR,
	      "no orchestrator here has the executor 'auto' ('cronium doctor' "
	      "says why)");
	job = queued("ssh");
	check(&job, agents, 2, WAITING_NONE, "");
	check(&job, agents, 1, WAITING_EXECUTOR,
	      "no orchestrator here has the executor 'ssh' ('cronium doctor' "
	      "says why)");
	job = queued("docker");
	check(&job, agents, 2, WAITING_EXECUTOR,
	      "no orchestrator here runs Docker jobs: no engine answers it "
	      "('cronium doctor' says how to mend that), or use --executor "
	      "sandbox");
	job.want_agent = "box";
	check(&job, agents, 2, WAITING_EXECUTOR,
	      "the orchestrator 'box' has not the executor 'docker'");
	job.want_agent = "gone";
	check(&job, agents, 2, WAITING_AGENT_AWAY,
	      "it is for the orchestrator 'gone', which is not connected");
}

static void test_executors_are_whole_words(void **state)
{
	const struct waiting_agent agents[] = { AGENT("a",
						      "sandboxes,xsandbox") };
	const struct store_job job = queued("sandbox");
	struct waiting w;

	waiting_explain(&job, &(struct waiting_place){ agents, 1, NULL }, &w);
	assert_int_equal(w.code, WAITING_EXECUTOR);
}

static void test_agents_that_take_nothing(void **state)
{
	struct waiting_agent agents[] = { box, dock, far };
	struct store_job job = queued("auto");

	agents[0].refusing = true;
	agents[0].problem = "memory 91 % (limit 80 %)";
	check(&job, agents, 2, WAITING_NONE, "");
	check(&job, agents, 1, WAITING_GUARD,
	      "the guard of agent box: memory 91 % (limit 80 %)");
	agents[1].refusing = true;
	agents[1].problem = "disk 99 % (limit 80 %)";
	check(&job, agents, 3, WAITING_GUARD,
	      "the guards of all 2 agents that could run it; of box: memory "
	      "91 % (limit 80 %)");
	agents[1].drained = true;
	check(&job, agents, 2, WAITING_GUARD,
	      "the guard of agent box: memory 91 % (limit 80 %)");
	agents[0].drained = true;
	check(&job, agents, 2, WAITING_DRAINED,
	      "all 2 orchestrators that could run it are drained ('cronium "
	      "agents')");
	agents[0].labelled = false;
	check(&job, agents, 2, WAITING_DRAINED,
	      "the orchestrator 'dock' is drained ('cronium agent undrain "
	      "dock')");
	agents[1].labelled = false;
	check(&job, agents, 2, WAITING_LABELS,
	      "no orchestrator that could run it has the labels that it asks "
	      "for ('cronium agents' shows them)");
}

static void test_executors_that_are_away(void **state)
{
	struct waiting_agent agents[] = { dock, box, dock };
	struct store_job docker = queued("docker"), any = queued("auto"),
			 sandbox = queued("sandbox");

	agents[0].away = "docker";
	agents[0].problem = "the Docker engine at /d does not answer";
	check(&docker, agents, 2, WAITING_EXECUTOR_AWAY,
	      "the Docker engine at /d does not answer (agent dock)");
	check(&any, agents, 1, WAITING_NONE, "");
	check(&sandbox, agents, 1, WAITING_NONE, "");
	check(&docker, agents, 3, WAITING_NONE, "");
	agents[2] = agents[0];
	check(&docker, agents, 3, WAITING_EXECUTOR_AWAY,
	      "the Docker engine at /d does not answer (agent dock; so it is "
	      "with all 2 that could run it)");
	agents[0].executors = "docker,ssh";
	check(&any, agents, 1, WAITING_EXECUTOR_AWAY,
	      "the Docker engine at /d does not answer (agent dock)");
	agents[0].refusing = true;
	check(&docker, agents, 1, WAITING_GUARD,
	      "the guard of agent dock: the Docker engine at /d does not "
	      "answer");
}

static void test_slots(void **state)
{
	struct waiting_agent agents[] = { box, dock };
	struct store_job job = queued("auto");

	agents[0].leases = 2;
	check(&job, agents, 2, WAITING_NONE, "");
	agents[1].leases = 3; /* those of an earlier stream count, too */
	check(&job, agents, 2, WAITING_SLOTS, "all 4 slots are taken");
	job = queued("docker");
	check(&job, agents, 2, WAITING_SLOTS, "all 2 slots are taken");
	agents[1].slots = 1;
	check(&job, agents, 2, WAITING_SLOTS, "the only slot is taken");
}

static void test_store(void **state)
{
	const struct store_job job = queued("auto");
	struct waiting w;

	waiting_explain(&job, &(struct waiting_place){ &box, 1, "disk full" },
			&w);
	assert_int_equal(w.code, WAITING_STORE);
	assert_string_equal(w.message,
			    "the server cannot give it to an orchestrator: "
			    "disk full");
}

static void test_refused(void **state)
{
	for (int code = 0; code < WAITING_CODES; code++) {
		bool may = code == WAITING_NONE || code == WAITING_SLOTS ||
			   code == WAITING_RETRY;

		assert_int_equal(waiting_is_refused((enum waiting_code)code),
				 !may);
		assert_true(!waiting_is_absence((enum waiting_code)code) ||
			    !may);
		assert_int_equal(!waiting_code_name((enum waiting_code)code),
				 code == WAITING_NONE);
	}
}

static void test_json(void **state)
{
	struct waiting w = { .code = WAITING_NONE };
	json_t *o = waiting_json(&w);

	assert_true(json_is_null(o));
	json_decref(o);
	w.code = WAITING_NO_AGENT;
	snprintf(w.message, sizeof(w.message), "nobody");
	o = waiting_json(&w);
	assert_string_equal(json_get_str(o, "code", ""), "no_agent");
	assert_string_equal(json_get_str(o, "message", ""), "nobody");
	json_decref(o);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_nothing_to_wait_for),
		cmocka_unit_test(test_session_and_retry),
		cmocka_unit_test(test_nobody),
		cmocka_unit_test(test_executors_are_whole_words),
		cmocka_unit_test(test_agents_that_take_nothing),
		cmocka_unit_test(test_executors_that_are_away),
		cmocka_unit_test(test_slots),
		cmocka_unit_test(test_store),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_json),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
