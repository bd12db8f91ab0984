#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <event2/event.h>

#include "backend/intake.h"
#include "payload/sign.h"

/* Of this test alone. */
static const char key_pem[] =
	"-----BEGIN EC PRIVATE KEY-----\n"
	"MHcCAQEEIKAQi1DkA0jbTBSWd/gLXu0LcgEyqpGzX/chCnBt213/oAoGCCqGSM49\n"
	"AwEHoUQDQgAEkt+AbGZTB15WNiP+tylDdkm5L1giL+fTfsZUScyfuBSjpgY23XqN\n"
	"hFW05z0Neb2uFx5YcIYFLnnuzJIPkckP4g==\n"
	"-----END EC PRIVATE KEY-----\n";

static const struct job_submission_limits limits = {
	.script_bytes = 1024 * 1024,
	.input_bytes = 1024,
};

struct fixture {
	struct event_base *base;
	struct payload_signer *signer;
	struct intake *intake;
};

/* One submission, and what came of it. */
struct asked {
	struct event_base *base;
	struct intake_job *job;
	unsigned int done, *order;
	int r;
	size_t script_bytes, signature_bytes;
	char why[128];
};

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	f->base = event_base_new();
	assert_int_equal(
		payload_signer_new(&f->signer, key_pem, strlen(key_pem)), 0);
	assert_int_equal(intake_new(&f->intake, f->base, f->signer), 0);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	intake_free(f->intake);
	payload_signer_free(f->signer);
	event_base_free(f->base);
	free(f);
	return 0;
}

static void on_done(void *ctx, int r, const struct job_submission *s,
		    const char *why)
{
	struct asked *a = ctx;

	assert_null(a->job);
	a->done = ++*a->order;
	a->r = r;
	a->script_bytes = s->script.len;
	a->signature_bytes = s->signature.len;
	snprintf(a->why, sizeof(a->why), "%s", why);
	event_base_loopbreak(a->base);
}

/* A script of n bytes. */
static void ask(struct fixture *f, struct asked *a, unsigned int *order,
		const char *runtime, size_t n)
{
	char *script = malloc(n + 1);
	struct buf body = { 0 };

	memset(script, '#', n);
	script[n] = '\0';
	*a = (struct asked){ .base = f->base, .order = order };
	assert_int_equal(buf_printf(&body,
				    "{\"runtime\":\"%s\",\"script\":{\"name\":"
				    "\"a\",\"content\":\"%s\"}}",
				    runtime, script),
			 0);
	assert_int_equal(intake_start(f->intake, &body, false, &limits, on_done,
				      a, &a->job),
			 0);
	assert_int_equal(body.len, 0);
	free(script);
}

static void await(const struct asked *a)
{
	while (!a->done)
		event_base_dispatch(a->base);
}

static void test_small_ones_at_once(void **state)
{
	unsigned int order = 0;
	struct asked a;

	ask(*state, &a, &order, "python", 10);
	assert_int_equal(a.done, 1);
	assert_int_equal(a.r, 0);
	assert_int_equal(a.script_bytes, 10);
	assert_in_range(a.signature_bytes, 90, 100);
	ask(*state, &a, &order, "cobol", 10);
	assert_int_equal(a.done, 2);
	assert_int_equal(a.r, JOB_SUBMISSION_E_SPEC);
	assert_non_null(strstr(a.why, "cobol"));
}

static void test_big_ones_beside_the_loop(void **state)
{
	struct asked first, second, small;
	unsigned int order = 0;

	ask(*state, &first, &order, "python", 2 * INTAKE_AT_ONCE_BYTES);
	ask(*state, &second, &order, "cobol", 2 * INTAKE_AT_ONCE_BYTES);
	assert_int_equal(first.done, 0);
	assert_non_null(first.job);
	ask(*state, &small, &order, "bash", 10);
	assert_int_equal(small.done, 1);
	await(&second);
	assert_int_equal(first.done, 2);
	assert_int_equal(first.r, 0);
	assert_int_equal(first.script_bytes, 2 * INTAKE_AT_ONCE_BYTES);
	assert_in_range(first.signature_bytes, 90, 100);
	assert_int_equal(second.done, 3);
	assert_int_equal(second.r, JOB_SUBMISSION_E_SPEC);
	assert_non_null(strstr(second.why, "cobol"));
}

static void test_who_leaves_is_not_called(void **state)
{
	struct asked gone[20], last;
	unsigned int order = 0;

	for (size_t i = 0; i < 20; i++)
		ask(*state, &gone[i], &order, "python", 1024 * 1024);
	for (size_t i = 0; i < 20; i++) {
		intake_cancel(gone[i].job);
		assert_null(gone[i].job);
	}
	intake_cancel(NULL);
	ask(*state, &last, &order, "python", 2 * INTAKE_AT_ONCE_BYTES);
	await(&last);
	assert_int_equal(last.done, 1);
}

static void test_ends_with_some_waiting(void **state)
{
	static struct asked a[20]; /* teardown frees what they wait for */
	static unsigned int order;

	for (size_t i = 0; i < 20; i++)
		ask(*state, &a[i], &order, "python", 1024 * 1024);
}

static void test_what_waits_is_bounded(void **state)
{
	const size_t half = INTAKE_WAITING_MAX_BYTES / 2 + 1;
	struct buf first = { 0 }, second = { 0 };
	struct fixture *f = *state;
	unsigned int order = 0;
	struct asked a = { .base = f->base, .order = &order }, b = a;

	assert_int_equal(buf_reserve(&first, half), 0);
	assert_int_equal(buf_reserve(&second, half), 0);
	/* No JSON: to read it takes no time. */
	memset(first.data, '?', half);
	first.len = second.len = half;
	assert_int_equal(intake_start(f->intake, &first, false, &limits,
				      on_done, &a, &a.job),
			 0);
	assert_int_equal(intake_start(f->intake, &second, false, &limits,
				      on_done, &b, &b.job),
			 -EAGAIN);
	assert_null(second.data);
	await(&a);
	assert_int_equal(a.r, JOB_SUBMISSION_E_JSON);
	ask(f, &b, &order, "python", 2 * INTAKE_AT_ONCE_BYTES);
	await(&b);
	assert_int_equal(b.r, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_small_ones_at_once, setup,
						teardown),
		cmocka_unit_test_setup_teardown(test_big_ones_beside_the_loop,
						setup, teardown),
		cmocka_unit_test_setup_teardown(test_who_leaves_is_not_called,
						setup, teardown),
		cmocka_unit_test_setup_teardown(test_ends_with_some_waiting,
						setup, teardown),
		cmocka_unit_test_setup_teardown(test_what_waits_is_bounded,
						setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
