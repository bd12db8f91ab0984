/* What a pod does when its sides come and go at the wrong moment: with an
 * executor that makes nothing, and sockets for the two sides. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <event2/event.h>
#include <string.h>
#include <sys/socket.h>

#include "backend-client/client.h"
#include "common/buf.h"
#include "common/frame.h"
#include "orchestrator/assignment.h"
#include "orchestrator/executor.h"
#include "orchestrator/pod.h"

#include "h2_fixture.h"

struct executor_pod {
	const struct executor_events *events;
	void *ctx;
	int killed, destroyed;
};

struct fixture {
	struct event_base *base;
	struct h2_fixture *backend;
	struct backend_client *client;
	int status; /* of every answer; 0: none comes */
	unsigned int started;
	struct executor_pod place;
	struct pod *pod;
	int fds[2]; /* of EXECUTOR_SIDECAR and EXECUTOR_RUNNER */
	int created;
};

static struct executor_pod *made;

static int fake_create(struct executor *e, const struct executor_spec *spec,
		       const struct executor_events *events, void *ctx,
		       struct executor_pod **out)
{
	made->events = events;
	made->ctx = ctx;
	*out = made;
	return 0;
}

static void fake_place(struct executor_pod *pod, struct executor_place *out)
{
	*out = (struct executor_place){
		.work_dir = "/work",
		.runtime_api = "http://localhost:8081",
		.mode = "sandbox",
	};
}

static void fake_kill(struct executor_pod *pod)
{
	pod->killed++;
}

static bool fake_oom_killed(struct executor_pod *pod)
{
	return false;
}

static void fake_destroy(struct executor_pod *pod, void (*done)(void *ctx),
			 void *ctx)
{
	pod->destroyed++;
}

static const struct executor_ops fake = {
	.name = "sandbox",
	.create = fake_create,
	.place = fake_place,
	.kill = fake_kill,
	.oom_killed = fake_oom_killed,
	.destroy = fake_destroy,
};

static void on_created(struct pod *p, void *ctx)
{
	((struct fixture *)ctx)->created++;
}

static void on_ended(struct pod *p, void *ctx)
{
}

static struct assignment *assignment(void)
{
	static const char json[] =
		"{\"execution\":\"ex_1\",\"job\":\"job_1\",\"epoch\":1,"
		"\"lease_ms\":9000,\"script_bytes\":0,\"input_bytes\":0,"
		"\"runtime_token\":\"RT\",\"backend_token\":\"BT\","
		"\"issuer\":\"cronium\",\"public_key\":\"PEM\","
		"\"context\":{},\"spec\":{\"name\":\"a.py\","
		"\"runtime\":\"python\",\"executor\":\"sandbox\"}}";
	struct assignment *a;
	char err[256];

	assert_int_equal(assignment_new(&a, json, sizeof(json) - 1, err,
					sizeof(err)),
			 0);
	return a;
}

static int answer(void *ctx, const char *path, struct buf *body)
{
	struct fixture *f = ctx;

	if (strstr(path, "/started"))
		f->started++;
	buf_clear(body);
	if (buf_append_str(body, "{}") < 0)
		return 503;
	return f->status;
}

static void run(struct fixture *f)
{
	for (int i = 0; i < 4; i++)
		event_base_loop(f->base, EVLOOP_NONBLOCK);
}

/* Until the backend was told n times that something starts, or the pod has
 * given up. */
static void run_until_started(struct fixture *f, unsigned int n)
{
	while (f->started < n && !f->place.destroyed)
		event_base_loop(f->base, EVLOOP_ONCE);
	for (int i = 0; i < 16; i++)
		event_base_loop(f->base, EVLOOP_NONBLOCK);
}

static bool hears(struct fixture *f, enum executor_side side,
		  enum frame_type type)
{
	char in[4096];

	return recv(f->fds[side], in, sizeof(in), MSG_DONTWAIT) > 0 &&
	       in[0] == (char)type;
}

static void connect_side(struct fixture *f, enum executor_side side)
{
	int fds[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
	f->fds[side] = fds[0];
	f->place.events->on_stream(f->place.ctx, side, fds[1]);
}

static void say(struct fixture *f, enum executor_side side,
		enum frame_type type, const void *payload, size_t len)
{
	_cleanup_(buf_deinit) struct buf b = { 0 };

	assert_int_equal(frame_append(&b, type, payload, len), 0);
	assert_int_equal(send(f->fds[side], b.data, b.len, MSG_NOSIGNAL),
			 b.len);
	run(f);
}

static void lose(struct fixture *f, enum executor_side side)
{
	close(f->fds[side]);
	f->fds[side] = -1;
	run(f);
}

static int setup(void **state)
{
	static const struct pod_ops ops = {
		.on_created = on_created,
		.on_ended = on_ended,
		.on_gone = on_ended,
	};
	struct backend_client_config c = BACKEND_CLIENT_CONFIG_DEFAULT;
	struct fixture *f = calloc(1, sizeof(*f));
	struct pod_config config = { .executor_ops = &fake };

	f->base = config.base = event_base_new();
	f->backend = h2_fixture_new(f->base, 100);
	h2_fixture_on_call(f->backend, answer, f);
	f->status = 200;
	c.endpoint = h2_fixture_endpoint(f->backend);
	if (backend_client_new(&f->client, f->base, &c) < 0)
		return -1;
	config.client = f->client;
	made = &f->place;
	if (pod_new(&f->pod, &config, assignment(), &ops, f) < 0)
		return -1;
	connect_side(f, EXECUTOR_SIDECAR);
	connect_side(f, EXECUTOR_RUNNER);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	pod_free(f->pod);
	backend_client_free(f->client);
	run(f);
	h2_fixture_free(f->backend);
	for (size_t i = 0; i < ARRAY_SIZE(f->fds); i++)
		closep(&f->fds[i]);
	event_base_free(f->base);
	free(f);
	return 0;
}

static const uint32_t assigned; /* ACK 0 */

static void test_runner_gets_its_assignment(void **state)
{
	struct fixture *f = *state;

	say(f, EXECUTOR_SIDECAR, FRAME_READY, "{}", 2);
	say(f, EXECUTOR_RUNNER, FRAME_READY, "{}", 2);
	assert_int_equal(f->created, 1);
	assert_false(hears(f, EXECUTOR_RUNNER, FRAME_ASSIGN));
	say(f, EXECUTOR_SIDECAR, FRAME_ACK, &assigned, sizeof(assigned));
	run_until_started(f, 1);
	assert_true(hears(f, EXECUTOR_RUNNER, FRAME_ASSIGN));
}

/* It is told while the runner is not there yet. */
static void test_the_start_is_told_early(void **state)
{
	struct fixture *f = *state;

	say(f, EXECUTOR_SIDECAR, FRAME_READY, "{}", 2);
	say(f, EXECUTOR_SIDECAR, FRAME_ACK, &assigned, sizeof(assigned));
	run_until_started(f, 1);
	say(f, EXECUTOR_RUNNER, FRAME_READY, "{}", 2);
	assert_true(hears(f, EXECUTOR_RUNNER, FRAME_ASSIGN));
}

/* Somebody else has the job: nothing of it runs here. */
static void test_nothing_runs_whose_start_is_refused(void **state)
{
	struct fixture *f = *state;

	f->status = 409;
	say(f, EXECUTOR_SIDECAR, FRAME_READY, "{}", 2);
	say(f, EXECUTOR_RUNNER, FRAME_READY, "{}", 2);
	say(f, EXECUTOR_SIDECAR, FRAME_ACK, &assigned, sizeof(assigned));
	run_until_started(f, 1);
	assert_false(hears(f, EXECUTOR_RUNNER, FRAME_ASSIGN));
	assert_int_equal(f->place.destroyed, 1);
}

static void test_nothing_runs_before_the_answer(void **state)
{
	struct fixture *f = *state;

	f->status = 0;
	say(f, EXECUTOR_SIDECAR, FRAME_READY, "{}", 2);
	say(f, EXECUTOR_RUNNER, FRAME_READY, "{}", 2);
	say(f, EXECUTOR_SIDECAR, FRAME_ACK, &assigned, sizeof(assigned));
	run_until_started(f, 1);
	assert_false(hears(f, EXECUTOR_RUNNER, FRAME_ASSIGN));
}

/* Its executor has a moment to say why: meanwhile nothing is assigned. */
static void test_runner_lost_before_its_assignment(void **state)
{
	struct fixture *f = *state;

	say(f, EXECUTOR_SIDECAR, FRAME_READY, "{}", 2);
	say(f, EXECUTOR_RUNNER, FRAME_READY, "{}", 2);
	lose(f, EXECUTOR_RUNNER);
	say(f, EXECUTOR_SIDECAR, FRAME_ACK, &assigned, sizeof(assigned));
	assert_int_equal(f->place.killed, 0);
	f->place.events->on_failed(f->place.ctx, "out of memory");
	assert_int_equal(f->place.killed, 1);
}

static void test_sidecar_lost_before_the_runner_is_ready(void **state)
{
	struct fixture *f = *state;
	char in[16];

	say(f, EXECUTOR_SIDECAR, FRAME_READY, "{}", 2);
	say(f, EXECUTOR_SIDECAR, FRAME_ACK, &assigned, sizeof(assigned));
	lose(f, EXECUTOR_SIDECAR);
	say(f, EXECUTOR_RUNNER, FRAME_READY, "{}", 2);
	assert_true(recv(f->fds[EXECUTOR_RUNNER], in, sizeof(in),
			 MSG_DONTWAIT) < 0);
}

/* A script that begins a moment later begins in a pod that is doomed. */
static void test_sidecar_lost_before_the_script_has_begun(void **state)
{
	struct fixture *f = *state;

	say(f, EXECUTOR_SIDECAR, FRAME_READY, "{}", 2);
	say(f, EXECUTOR_RUNNER, FRAME_READY, "{}", 2);
	say(f, EXECUTOR_SIDECAR, FRAME_ACK, &assigned, sizeof(assigned));
	run_until_started(f, 1);
	lose(f, EXECUTOR_SIDECAR);
	say(f, EXECUTOR_RUNNER, FRAME_STARTED, "{\"pid\":2}", 9);
	while (!f->place.killed)
		assert_int_equal(event_base_loop(f->base, EVLOOP_ONCE), 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_runner_gets_its_assignment),
		TEST(test_the_start_is_told_early),
		TEST(test_nothing_runs_whose_start_is_refused),
		TEST(test_nothing_runs_before_the_answer),
		TEST(test_runner_lost_before_its_assignment),
		TEST(test_sidecar_lost_before_the_runner_is_ready),
		TEST(test_sidecar_lost_before_the_script_has_begun),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
