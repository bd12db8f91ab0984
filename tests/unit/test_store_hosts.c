#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "backend/store_host.h"
#include "backend/store_job.h"
#include "backend/store_queue.h"
#include "store_fixture.h"

static int put(struct store_fixture *f, const char *name, const char *address,
	       struct reply *reply)
{
	struct store_host_put request = {
		.host = { .name = name,
			  .user = "deploy",
			  .address = address,
			  .port = 22,
			  .mode = "tunnel",
			  .read_only = true },
		.audit = { .who = "uid:0",
			   .action = "host.put",
			   .target = name },
	};

	return STORE_WAIT(f, reply, store_host_put, &request);
}

static int submit(struct store_fixture *f, const char *id, const char *host,
		  struct reply *reply)
{
	struct store_job_new job = { .id = id,
				     .name = "a",
				     .runtime = "bash",
				     .executor = "ssh",
				     .host = host,
				     .script = STORE_STR("x") };

	return STORE_WAIT(f, reply, store_job_submit, &job);
}

static int claim(struct store_fixture *f, const char *execution,
		 const char *executors, struct reply *reply)
{
	struct store_claim request = { .execution = execution,
				       .agent = "agent",
				       .executors = executors,
				       .lease_ms = 30000 };

	return STORE_WAIT(f, reply, store_queue_claim, &request);
}

static void test_put_get_delete(void **state)
{
	struct store_fixture *f = *state;
	struct store_host_delete del = { .name = "web1" };
	struct reply first, reply;

	assert_int_equal(put(f, "web1", "10.0.0.1", &first), 0);
	assert_true(first.result.created);
	assert_int_equal(put(f, "web1", "10.0.0.2", &reply), 0);
	assert_false(reply.result.created);
	assert_int_equal(reply.result.host.created_ms,
			 first.result.host.created_ms);
	assert_int_equal(put(f, "db1", "::1", &reply), 0);
	assert_int_equal(STORE_WAIT(f, &reply, store_host_get, "web1"), 0);
	assert_string_equal(reply.result.host.address, "10.0.0.2");
	assert_null(reply.result.host.host_key);
	assert_true(reply.result.host.read_only);
	assert_int_equal(STORE_WAIT0(f, &reply, store_host_list), 0);
	assert_int_equal(reply.result.hosts.n, 2);
	assert_string_equal(reply.result.hosts.items[0].name, "db1");
	assert_int_equal(STORE_WAIT(f, &reply, store_host_delete, &del), 0);
	assert_int_equal(STORE_WAIT(f, &reply, store_host_delete, &del),
			 STORE_E_NOT_FOUND);
	assert_string_equal(reply.result.message, "there is no host web1");
	assert_int_equal(STORE_WAIT(f, &reply, store_host_get, "web1"),
			 STORE_E_NOT_FOUND);
}

static void test_there_are_not_too_many(void **state)
{
	struct store_fixture *f = *state;
	struct reply reply;
	char name[16];

	for (int i = 0; i < STORE_HOSTS_MAX; i++) {
		snprintf(name, sizeof(name), "h%d", i);
		assert_int_equal(put(f, name, "a", &reply), 0);
	}
	assert_int_equal(put(f, "more", "a", &reply), STORE_E_LIMIT);
	assert_int_equal(put(f, "h1", "b", &reply), 0);
}

static void test_jobs_have_hosts(void **state)
{
	struct store_fixture *f = *state;
	struct store_host_delete del = { .name = "web1" };
	struct reply reply;

	assert_int_equal(submit(f, "job_1", "web1", &reply), STORE_E_HOST);
	assert_string_equal(reply.result.message,
			    "host: there is no host web1: cronium hosts add");
	assert_int_equal(put(f, "web1", "10.0.0.1", &reply), 0);
	assert_int_equal(submit(f, "job_1", "web1", &reply), 0);
	assert_string_equal(reply.result.job.host, "web1");
	assert_int_equal(submit(f, "job_2", "web1", &reply), 0);
	assert_int_equal(claim(f, "ex_1", "docker,sandbox", &reply),
			 STORE_E_NOT_FOUND);
	assert_int_equal(claim(f, "ex_1", "docker,ssh", &reply), 0);
	assert_string_equal(reply.result.claim.host->address, "10.0.0.1");
	assert_int_equal(STORE_WAIT(f, &reply, store_host_delete, &del), 0);
	assert_int_equal(claim(f, "ex_2", "ssh", &reply), 0);
	assert_string_equal(reply.result.job.host, "web1");
	assert_null(reply.result.claim.host);
}

static void test_auto_is_never_ssh(void **state)
{
	struct store_fixture *f = *state;
	struct store_job_new job = { .id = "job_1",
				     .name = "a",
				     .runtime = "bash",
				     .executor = "auto",
				     .script = STORE_STR("x") };
	struct reply reply;

	assert_int_equal(STORE_WAIT(f, &reply, store_job_submit, &job), 0);
	assert_int_equal(claim(f, "ex_1", "ssh", &reply), STORE_E_NOT_FOUND);
	assert_int_equal(claim(f, "ex_1", "ssh,sandbox", &reply), 0);
}

#define TEST(name)                                                 \
	cmocka_unit_test_setup_teardown(name, store_fixture_setup, \
					store_fixture_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_put_get_delete),
		TEST(test_there_are_not_too_many),
		TEST(test_jobs_have_hosts),
		TEST(test_auto_is_never_ssh),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
