/* backend-client against a server in the same loop that misbehaves. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <event2/event.h>
#include <string.h>

#include "backend-client/client.h"
#include "common/clock.h"
#include "h2_fixture.h"

#define TEST_LIMIT_MS 20000

struct world {
	struct event_base *base;
	struct h2_fixture *fx;
	struct backend_client *c;
	unsigned int done;
	uint64_t limit_ms;
};

/* How a call ended. */
struct result {
	struct world *w;
	struct backend_call *call;
	bool done;
	enum backend_error error;
	int status;
	size_t len, streamed;
	unsigned int attempts, heads;
	char body[64], detail[128];
};

static struct backend_client_config quick(const struct world *w)
{
	struct backend_client_config config = BACKEND_CLIENT_CONFIG_DEFAULT;

	config.endpoint = h2_fixture_endpoint(w->fx);
	config.bearer = "secret";
	config.backoff_initial_ms = 4;
	config.backoff_max_ms = 20;
	config.breaker_open_ms = 50;
	config.connect_timeout_ms = 100;
	return config;
}

static void world_connect(struct world *w,
			  const struct backend_client_config *config)
{
	assert_int_equal(backend_client_new(&w->c, w->base, config), 0);
}

static int world_up(void **state)
{
	struct world *w = calloc(1, sizeof(*w));

	assert_non_null(w);
	w->base = event_base_new();
	w->fx = h2_fixture_new(w->base, 20);
	w->limit_ms = clock_mono_ms() + TEST_LIMIT_MS;
	*state = w;
	return 0;
}

static int world_down(void **state)
{
	struct world *w = *state;

	backend_client_free(w->c);
	h2_fixture_free(w->fx);
	event_base_free(w->base);
	free(w);
	return 0;
}

static void turn(struct world *w)
{
	struct timeval tv = { 0, 20000 };

	assert_true(clock_mono_ms() < w->limit_ms);
	event_base_loopexit(w->base, &tv);
	event_base_loop(w->base, EVLOOP_ONCE);
}

static void on_done(struct backend_call *call, const struct backend_response *r,
		    void *ctx)
{
	struct result *res = ctx;

	assert_false(res->done);
	res->done = true;
	res->error = r->error;
	res->status = r->status;
	res->attempts = r->attempts;
	res->len = r->body_len;
	if (r->body_len)
		memcpy(res->body, r->body, MIN(r->body_len, 63));
	snprintf(res->detail, sizeof(res->detail), "%s",
		 r->detail ? r->detail : "");
	if (!r->error)
		assert_string_equal(backend_response_header(r, "x-fixture"),
				    "yes");
	res->w->done++;
}

static void on_headers(struct backend_call *call,
		       const struct backend_response *r, void *ctx)
{
	struct result *res = ctx;

	res->heads++;
	res->status = r->status;
}

static void on_data(struct backend_call *call, const uint8_t *data, size_t len,
		    void *ctx)
{
	struct result *res = ctx;

	res->streamed += len;
}

static const struct backend_call_ops buffered = { .on_done = on_done };
static const struct backend_call_ops streaming = { .on_headers = on_headers,
						   .on_data = on_data,
						   .on_done = on_done };

static void start(struct world *w, struct result *res, const char *path,
		  uint32_t deadline_ms, enum backend_retry retry,
		  const struct backend_call_ops *ops)
{
	const struct backend_header headers[] = { { "x-test", "1" } };
	const struct backend_request req = {
		.method = "POST",
		.path = path,
		.headers = headers,
		.n_headers = 1,
		.body = "hello",
		.body_len = 5,
		.deadline_ms = deadline_ms,
		.retry = retry,
	};

	*res = (struct result){ .w = w };
	assert_int_equal(backend_client_call(w->c, &req, ops, res, &res->call),
			 0);
	assert_false(res->done);
}

static void finish(struct world *w, struct result *res)
{
	while (!res->done)
		turn(w);
}

static void wait_connected(struct world *w)
{
	while (!backend_client_connected(w->c))
		turn(w);
}

static struct world *ready(void **state)
{
	struct world *w = *state;
	struct backend_client_config config = quick(w);

	world_connect(w, &config);
	wait_connected(w);
	return w;
}

static void test_call(void **state)
{
	struct world *w = ready(state);
	struct result res;

	start(w, &res, "/echo", 1000, BACKEND_RETRY_NEVER, &buffered);
	finish(w, &res);
	assert_int_equal(res.error, BACKEND_OK);
	assert_int_equal(res.status, 200);
	assert_string_equal(res.body, "hello");
	assert_int_equal(res.attempts, 1);
}

static void test_call_before_connected(void **state)
{
	struct world *w = *state;
	struct backend_client_config config = quick(w);
	struct result res;

	world_connect(w, &config);
	start(w, &res, "/echo", 1000, BACKEND_RETRY_NEVER, &buffered);
	finish(w, &res);
	assert_int_equal(res.status, 200);
}

static void test_bearer_can_change(void **state)
{
	struct world *w = ready(state);
	struct result a, b;

	start(w, &a, "/auth", 1000, BACKEND_RETRY_NEVER, &buffered);
	assert_int_equal(backend_client_set_bearer(w->c, "other"), 0);
	start(w, &b, "/auth", 1000, BACKEND_RETRY_NEVER, &buffered);
	finish(w, &a);
	finish(w, &b);
	assert_string_equal(a.body, "Bearer secret");
	assert_string_equal(b.body, "Bearer other");
}

static void test_bearer_in_a_header_of_its_own(void **state)
{
	struct world *w = *state;
	struct backend_client_config config = quick(w);
	struct result a, b;

	config.bearer_header = "x-cronium-token";
	world_connect(w, &config);
	start(w, &a, "/auth", 1000, BACKEND_RETRY_NEVER, &buffered);
	start(w, &b, "/auth", 1000, BACKEND_RETRY_NEVER, &buffered);
	finish(w, &a);
	finish(w, &b);
	assert_string_equal(a.body, "secret");
	assert_string_equal(b.body, "secret");
}

static void test_thousand_calls_past_the_stream_limit(void **state)
{
	struct world *w = ready(state);
	struct result *res = calloc(1000, sizeof(*res));

	assert_non_null(res);
	for (size_t i = 0; i < 1000; i++)
		start(w, &res[i], i % 10 ? "/echo" : "/bytes/100000", 10000,
		      BACKEND_RETRY_NEVER, &buffered);
	while (w->done < 1000)
		turn(w);
	for (size_t i = 0; i < 1000; i++) {
		assert_int_equal(res[i].error, BACKEND_OK);
		assert_int_equal(res[i].len, i % 10 ? 5 : 100000);
	}
	assert_int_equal(h2_fixture_stats(w->fx)->connections, 1);
	assert_true(h2_fixture_stats(w->fx)->streams_peak <= 20);
	free(res);
}

static void test_deadline(void **state)
{
	struct world *w = ready(state);
	struct result res;

	start(w, &res, "/hang", 50, BACKEND_RETRY_SAFE, &buffered);
	finish(w, &res);
	assert_int_equal(res.error, BACKEND_E_DEADLINE);
	while (!h2_fixture_stats(w->fx)->resets)
		turn(w);
}

static void test_deadline_in_the_queue(void **state)
{
	struct world *w = ready(state);
	struct result hang[20], res;

	for (size_t i = 0; i < 20; i++)
		start(w, &hang[i], "/hang", 5000, BACKEND_RETRY_NEVER,
		      &buffered);
	start(w, &res, "/echo", 30, BACKEND_RETRY_SAFE, &buffered);
	finish(w, &res);
	assert_int_equal(res.error, BACKEND_E_DEADLINE);
	assert_int_equal(res.attempts, 0);
	for (size_t i = 0; i < 20; i++)
		backend_call_cancel(hang[i].call);
	start(w, &res, "/echo", 1000, BACKEND_RETRY_SAFE, &buffered);
	finish(w, &res);
	assert_int_equal(res.status, 200);
}

static void test_attempt_timeout_then_retry(void **state)
{
	struct world *w = ready(state);
	struct result res = { .w = w };
	const struct backend_request req = {
		.method = "GET",
		.path = "/hang",
		.deadline_ms = 200,
		.attempt_timeout_ms = 30,
		.retry = BACKEND_RETRY_SAFE,
	};

	assert_int_equal(backend_client_call(w->c, &req, &buffered, &res, NULL),
			 0);
	finish(w, &res);
	assert_int_equal(res.error, BACKEND_E_DEADLINE);
	assert_true(res.attempts > 1);
}

static void test_cancel_everywhere(void **state)
{
	struct world *w = *state;
	struct backend_client_config config = quick(w);
	struct result res;

	world_connect(w, &config);
	start(w, &res, "/hang", 0, BACKEND_RETRY_SAFE, &buffered);
	backend_call_cancel(res.call); /* waiting */
	wait_connected(w);
	start(w, &res, "/hang", 0, BACKEND_RETRY_SAFE, &buffered);
	backend_call_cancel(res.call); /* HEADERS not serialised yet */
	start(w, &res, "/hang", 0, BACKEND_RETRY_SAFE, &buffered);
	while (h2_fixture_stats(w->fx)->requests < 1)
		turn(w);
	backend_call_cancel(res.call); /* under way */
	start(w, &res, "/echo", 1000, BACKEND_RETRY_SAFE, &buffered);
	finish(w, &res);
	assert_int_equal(res.status, 200);
	assert_int_equal(h2_fixture_stats(w->fx)->requests, 2);
	assert_int_equal(w->done, 1);
}

/* A body that is borrowed is read when it is sent, not before. */
static void test_borrowed_body(void **state)
{
	struct world *w = ready(state);
	struct result res = { .w = w };
	char body[] = "hello";
	const struct backend_request req = {
		.method = "POST",
		.path = "/echo",
		.body = body,
		.body_len = 5,
		.body_borrowed = true,
		.deadline_ms = 5000,
		.retry = BACKEND_RETRY_SAFE,
	};

	assert_int_equal(backend_client_call(w->c, &req, &buffered, &res, NULL),
			 0);
	body[0] = 'j';
	finish(w, &res);
	assert_int_equal(res.status, 200);
	assert_string_equal(res.body, "jello");
}

static void test_retry_on_status(void **state)
{
	struct world *w = ready(state);
	struct result res;

	start(w, &res, "/flaky/3", 5000, BACKEND_RETRY_SAFE, &buffered);
	finish(w, &res);
	assert_int_equal(res.status, 200);
	assert_int_equal(res.attempts, 4);
	start(w, &res, "/status/503", 5000, BACKEND_RETRY_UNSENT, &buffered);
	finish(w, &res);
	assert_int_equal(res.error, BACKEND_OK);
	assert_int_equal(res.status, 503);
	assert_int_equal(res.attempts, 1);
}

static void test_retry_on_status_streaming(void **state)
{
	struct world *w = ready(state);
	struct result res;

	start(w, &res, "/flaky/2", 5000, BACKEND_RETRY_SAFE, &streaming);
	finish(w, &res);
	assert_int_equal(res.status, 200);
	assert_int_equal(res.heads, 1);
	assert_int_equal(res.attempts, 3);
}

static void test_last_status_is_told_when_time_is_up(void **state)
{
	struct world *w = ready(state);
	struct result res;

	start(w, &res, "/status/503", 60, BACKEND_RETRY_SAFE, &buffered);
	finish(w, &res);
	assert_true(res.attempts > 1);
	if (!res.error)
		assert_int_equal(res.status, 503);
	else
		assert_int_equal(res.error, BACKEND_E_DEADLINE);
}

static void test_reset_streams(void **state)
{
	struct world *w = ready(state);
	struct result res;

	start(w, &res, "/reset", 1000, BACKEND_RETRY_UNSENT, &buffered);
	finish(w, &res);
	assert_int_equal(res.error, BACKEND_E_BROKEN);
	assert_int_equal(res.attempts, 1);
	start(w, &res, "/refuse/2", 1000, BACKEND_RETRY_UNSENT, &buffered);
	finish(w, &res);
	assert_int_equal(res.status, 200);
	assert_int_equal(res.attempts, 3);
}

static void test_goaway_moves_unseen_calls(void **state)
{
	struct world *w = ready(state);
	struct result res;

	/* The server refuses it and says goodbye, each time. */
	start(w, &res, "/goaway", 100, BACKEND_RETRY_UNSENT, &buffered);
	finish(w, &res);
	assert_true(h2_fixture_stats(w->fx)->connections > 1);
	assert_true(res.attempts > 1);
}

static void test_goaway_lets_calls_finish(void **state)
{
	struct world *w = ready(state);
	struct result old, fresh;

	start(w, &old, "/bytes/4000000", 5000, BACKEND_RETRY_NEVER, &buffered);
	while (!h2_fixture_stats(w->fx)->requests)
		turn(w);
	h2_fixture_goaway(w->fx);
	start(w, &fresh, "/echo", 5000, BACKEND_RETRY_UNSENT, &buffered);
	finish(w, &fresh);
	finish(w, &old);
	assert_int_equal(old.error, BACKEND_OK);
	assert_int_equal(old.len, 4000000);
	assert_int_equal(fresh.status, 200);
}

static void test_killed_mid_call(void **state)
{
	struct world *w = ready(state);
	struct result safe, unsent, never;

	start(w, &safe, "/hang", 5000, BACKEND_RETRY_SAFE, &buffered);
	start(w, &unsent, "/hang", 5000, BACKEND_RETRY_UNSENT, &buffered);
	start(w, &never, "/hang", 5000, BACKEND_RETRY_NEVER, &buffered);
	while (h2_fixture_stats(w->fx)->requests < 3)
		turn(w);
	h2_fixture_stop(w->fx);
	finish(w, &never);
	finish(w, &unsent);
	assert_int_equal(never.error, BACKEND_E_BROKEN);
	assert_int_equal(unsent.error, BACKEND_E_BROKEN);
	h2_fixture_start(w->fx);
	while (h2_fixture_stats(w->fx)->requests < 4)
		turn(w);
	assert_false(safe.done);
	backend_call_cancel(safe.call);
}

static void test_patient_calls_outwait_an_outage(void **state)
{
	struct world *w = ready(state);
	struct result res, never, forever;

	h2_fixture_stop(w->fx);
	while (backend_client_breaker(w->c) != BACKEND_OPEN)
		turn(w);
	start(w, &res, "/echo", 10000, BACKEND_RETRY_UNSENT, &buffered);
	start(w, &never, "/echo", 10000, BACKEND_RETRY_NEVER, &buffered);
	start(w, &forever, "/echo", 0, BACKEND_RETRY_SAFE, &buffered);
	finish(w, &never);
	finish(w, &forever);
	assert_true(never.error == BACKEND_E_BREAKER ||
		    never.error == BACKEND_E_UNREACHABLE);
	assert_true(forever.error == BACKEND_E_BREAKER ||
		    forever.error == BACKEND_E_UNREACHABLE);
	assert_false(res.done);
	h2_fixture_start(w->fx);
	finish(w, &res);
	assert_int_equal(res.status, 200);
	assert_int_equal(backend_client_breaker(w->c), BACKEND_CLOSED);
}

static void test_unreachable_until_the_deadline(void **state)
{
	struct world *w = *state;
	struct backend_client_config config = quick(w);
	struct result res;

	h2_fixture_stop(w->fx);
	world_connect(w, &config);
	start(w, &res, "/echo", 100, BACKEND_RETRY_SAFE, &buffered);
	finish(w, &res);
	assert_int_equal(res.error, BACKEND_E_UNREACHABLE);
	assert_non_null(strstr(res.detail, "cannot connect to unix:/"));
}

static void test_garbage(void **state)
{
	struct world *w = *state;
	struct backend_client_config config = quick(w);
	struct result res;

	h2_fixture_garbage(w->fx, "HTTP/1.1 400 Bad Request\r\n\r\n");
	world_connect(w, &config);
	start(w, &res, "/echo", 1000, BACKEND_RETRY_NEVER, &buffered);
	finish(w, &res);
	assert_int_equal(res.error, BACKEND_E_UNREACHABLE);
	assert_non_null(strstr(res.detail, "HTTP/2"));
	h2_fixture_garbage(w->fx, NULL);
	start(w, &res, "/echo", 2000, BACKEND_RETRY_UNSENT, &buffered);
	finish(w, &res);
	assert_int_equal(res.status, 200);
}

static void test_connects_but_never_speaks(void **state)
{
	struct world *w = *state;
	struct backend_client_config config = quick(w);
	struct result res;

	h2_fixture_mute(w->fx, true);
	world_connect(w, &config);
	start(w, &res, "/echo", 1000, BACKEND_RETRY_NEVER, &buffered);
	finish(w, &res);
	assert_int_equal(res.error, BACKEND_E_UNREACHABLE);
}

static void test_ping_finds_a_frozen_peer(void **state)
{
	struct world *w = *state;
	struct backend_client_config config = quick(w);
	struct result res;

	config.idle_ping_ms = 30;
	world_connect(w, &config);
	wait_connected(w);
	start(w, &res, "/hang", 0, BACKEND_RETRY_NEVER, &buffered);
	while (!h2_fixture_stats(w->fx)->requests)
		turn(w);
	h2_fixture_freeze(w->fx);
	finish(w, &res);
	assert_int_equal(res.error, BACKEND_E_BROKEN);
	assert_non_null(strstr(res.detail, "PING"));
	wait_connected(w);
}

static void test_reply_too_large(void **state)
{
	struct world *w = *state;
	struct backend_client_config config = quick(w);
	struct result res;

	config.response_bytes = 1000;
	world_connect(w, &config);
	start(w, &res, "/bytes/1001", 1000, BACKEND_RETRY_SAFE, &buffered);
	finish(w, &res);
	assert_int_equal(res.error, BACKEND_E_TOO_LARGE);
	start(w, &res, "/bytes/1000", 1000, BACKEND_RETRY_SAFE, &buffered);
	finish(w, &res);
	assert_int_equal(res.error, BACKEND_OK);
}

static void test_streaming_with_pause(void **state)
{
	struct world *w = ready(state);
	struct result res, other;
	size_t before;

	start(w, &res, "/bytes/3000000", 0, BACKEND_RETRY_NEVER, &streaming);
	backend_call_pause(res.call);
	/* The others are not held up by it. */
	for (int i = 0; i < 20; i++) {
		start(w, &other, "/bytes/300000", 5000, BACKEND_RETRY_NEVER,
		      &buffered);
		finish(w, &other);
		assert_int_equal(other.len, 300000);
	}
	before = res.streamed;
	assert_true(before <= 256 * 1024);
	assert_int_equal(res.heads, 1);
	backend_call_resume(res.call);
	finish(w, &res);
	assert_int_equal(res.streamed, 3000000);
	assert_int_equal(res.error, BACKEND_OK);
}

static void test_streaming_broken_off(void **state)
{
	struct world *w = ready(state);
	struct result res;

	start(w, &res, "/head", 0, BACKEND_RETRY_SAFE, &streaming);
	while (!res.heads)
		turn(w);
	h2_fixture_stop(w->fx);
	finish(w, &res);
	assert_int_equal(res.error, BACKEND_E_BROKEN);
	assert_int_equal(res.attempts, 1);
}

static void free_on_done(struct backend_call *call,
			 const struct backend_response *r, void *ctx)
{
	struct result *res = ctx;

	res->done = true;
	backend_client_free(res->w->c);
	res->w->c = NULL;
}

static void free_on_data(struct backend_call *call, const uint8_t *data,
			 size_t len, void *ctx)
{
	free_on_done(call, NULL, ctx);
}

static void test_free_inside_callbacks(void **state)
{
	static const struct backend_call_ops ops[] = {
		{ .on_done = free_on_done },
		{ .on_data = free_on_data, .on_done = on_done },
	};
	struct world *w = *state;

	for (size_t i = 0; i < ARRAY_SIZE(ops); i++) {
		struct backend_client_config config = quick(w);
		struct result a, b;

		world_connect(w, &config);
		start(w, &a, "/echo", 1000, BACKEND_RETRY_NEVER, &ops[i]);
		start(w, &b, "/hang", 1000, BACKEND_RETRY_NEVER, &buffered);
		finish(w, &a);
		assert_null(w->c);
		assert_false(b.done);
	}
}

static void cancel_on_data(struct backend_call *call, const uint8_t *data,
			   size_t len, void *ctx)
{
	struct result *res = ctx;

	res->streamed += len;
	backend_call_cancel(call);
	start(res->w, res, "/echo", 1000, BACKEND_RETRY_NEVER, &buffered);
}

static void test_cancel_inside_on_data(void **state)
{
	static const struct backend_call_ops ops = { .on_data = cancel_on_data,
						     .on_done = on_done };
	struct world *w = ready(state);
	struct result res;

	start(w, &res, "/bytes/1000000", 1000, BACKEND_RETRY_NEVER, &ops);
	finish(w, &res);
	assert_string_equal(res.body, "hello");
}

static void again_on_done(struct backend_call *call,
			  const struct backend_response *r, void *ctx)
{
	static const struct backend_call_ops ops = { .on_done = again_on_done };
	static const struct backend_request req = { .method = "GET",
						    .path = "/echo" };
	struct result *res = ctx;

	assert_int_not_equal(r->error, BACKEND_OK);
	res->w->done++;
	assert_int_equal(backend_client_call(res->w->c, &req, &ops, res, NULL),
			 0);
}

static void test_calling_again_at_once_starves_nobody(void **state)
{
	static const struct backend_call_ops ops = { .on_done = again_on_done };
	struct world *w = ready(state);
	struct result eager, patient;

	h2_fixture_stop(w->fx);
	while (backend_client_breaker(w->c) != BACKEND_OPEN)
		turn(w);
	start(w, &eager, "/echo", 0, BACKEND_RETRY_NEVER, &ops);
	start(w, &patient, "/echo", 40, BACKEND_RETRY_SAFE, &buffered);
	finish(w, &patient);
	assert_int_equal(patient.error, BACKEND_E_UNREACHABLE);
	assert_true(w->done > 2);
}

static void test_too_many_headers(void **state)
{
	struct world *w = ready(state);
	struct backend_header headers[100];
	struct backend_request req = { .method = "GET",
				       .path = "/echo",
				       .headers = headers,
				       .n_headers = 100 };
	struct result res = { .w = w };

	for (size_t i = 0; i < 100; i++)
		headers[i] = (struct backend_header){ "x-a", "b" };
	assert_int_equal(backend_client_call(w->c, &req, &buffered, &res, NULL),
			 -EINVAL);
}

static void test_bad_endpoint(void **state)
{
	struct world *w = *state;
	struct backend_client_config config = quick(w);

	config.endpoint = "ftp://x";
	assert_int_equal(backend_client_new(&w->c, w->base, &config), -EINVAL);
	config.endpoint = "https://localhost:1";
	assert_int_equal(backend_client_new(&w->c, w->base, &config),
			 -EPROTONOSUPPORT);
}

static void test_names_are_resolved(void **state)
{
	struct world *w = *state;
	struct backend_client_config config = quick(w);
	struct result res;

	config.endpoint = "http://no-such-host.invalid:1";
	config.connect_timeout_ms = 5000;
	world_connect(w, &config);
	start(w, &res, "/echo", 10000, BACKEND_RETRY_NEVER, &buffered);
	finish(w, &res);
	assert_int_equal(res.error, BACKEND_E_UNREACHABLE);
	assert_non_null(strstr(res.detail, "no-such-host.invalid"));
}

#define world_test(fn) cmocka_unit_test_setup_teardown(fn, world_up, world_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		world_test(test_call),
		world_test(test_call_before_connected),
		world_test(test_bearer_can_change),
		world_test(test_bearer_in_a_header_of_its_own),
		world_test(test_thousand_calls_past_the_stream_limit),
		world_test(test_deadline),
		world_test(test_deadline_in_the_queue),
		world_test(test_attempt_timeout_then_retry),
		world_test(test_cancel_everywhere),
		world_test(test_borrowed_body),
		world_test(test_retry_on_status),
		world_test(test_retry_on_status_streaming),
		world_test(test_last_status_is_told_when_time_is_up),
		world_test(test_reset_streams),
		world_test(test_goaway_moves_unseen_calls),
		world_test(test_goaway_lets_calls_finish),
		world_test(test_killed_mid_call),
		world_test(test_patient_calls_outwait_an_outage),
		world_test(test_unreachable_until_the_deadline),
		world_test(test_garbage),
		world_test(test_connects_but_never_speaks),
		world_test(test_ping_finds_a_frozen_peer),
		world_test(test_reply_too_large),
		world_test(test_streaming_with_pause),
		world_test(test_streaming_broken_off),
		world_test(test_free_inside_callbacks),
		world_test(test_cancel_inside_on_data),
		world_test(test_calling_again_at_once_starves_nobody),
		world_test(test_too_many_headers),
		world_test(test_bad_endpoint),
		world_test(test_names_are_resolved),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
