/*
 * How much the store commits: N operations are kept in flight for a while in
 * an empty directory, and the completions (each one durable) are counted.
 *
 *     bench_store DIR|URL [SECONDS [IN_FLIGHT]]
 *
 * DIR is for SQLite; URL is postgresql://… with a schema of its own. Prints a
 * JSON object.
 */
#include <event2/event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "backend/store_admin.h"
#include "backend/store_job.h"
#include "backend/store_queue.h"
#include "backend/store_variable.h"
#include "backend/vault.h"
#include "common/clock.h"
#include "common/id.h"

#define BENCH_SECONDS 3
#define BENCH_IN_FLIGHT 64
#define BENCH_LATENCIES_MAX 100000

struct bench {
	struct event_base *base;
	struct store *store;
	int (*start)(struct bench *b);
	uint64_t end_us;
	uint64_t n_done, n_failed;
	size_t in_flight;
	uint64_t begun_us; /* the only one in flight */
	uint32_t us[BENCH_LATENCIES_MAX];
	size_t n_us;
};

static void on_done(int r, const struct store_result *result, void *ctx)
{
	struct bench *b = ctx;

	if (b->n_us < BENCH_LATENCIES_MAX)
		b->us[b->n_us++] = (uint32_t)(clock_mono_us() - b->begun_us);
	b->in_flight--;
	b->n_done += r == 0;
	b->n_failed += r != 0;
	b->begun_us = clock_mono_us();
	if (b->begun_us < b->end_us && b->start(b) == 0)
		b->in_flight++;
	if (!b->in_flight)
		event_base_loopbreak(b->base);
}

static struct store_done bench_done(struct bench *b)
{
	return (struct store_done){ .fn = on_done, .ctx = b };
}

static int start_increment(struct bench *b)
{
	struct store_variable_increment inc = { .key = "n", .by = "1" };

	return store_variable_increment(b->store, &inc, bench_done(b));
}

static int start_secret(struct bench *b)
{
	struct store_variable_put put = { .key = "secret",
					  .value = { "\"0123456789\"", 12 },
					  .secret = STORE_SECRET_ON,
					  .expect = STORE_EXPECT_ANY };

	return store_variable_put(b->store, &put, bench_done(b));
}

static int start_submit(struct bench *b)
{
	static char script[300];
	char id[ID_MAX_BYTES];
	struct store_job_new job = { .id = id,
				     .name = "bench.py",
				     .runtime = "python",
				     .executor = "auto",
				     .spec = { script, sizeof(script) },
				     .script = { script, sizeof(script) },
				     .input = { "{}", 2 },
				     .labels = { "{}", 2 } };

	memset(script, ' ', sizeof(script));
	id_new("job", id);
	return store_job_submit(b->store, &job, bench_done(b));
}

static int start_claim(struct bench *b)
{
	char id[ID_MAX_BYTES];
	struct store_claim claim = { .execution = id,
				     .agent = "bench",
				     .executors = "docker,sandbox",
				     .lease_ms = 600000 };

	id_new("ex", id);
	return store_queue_claim(b->store, &claim, bench_done(b));
}

static int start_get(struct bench *b)
{
	return store_variable_get(b->store, "n", bench_done(b));
}

static int bench_compare(const void *a, const void *b)
{
	const uint32_t *x = a, *y = b;

	return (*x > *y) - (*x < *y);
}

static void bench_run(struct bench *b, const char *name,
		      int (*start)(struct bench *b), double seconds,
		      size_t in_flight, const char *separator)
{
	struct store_stats before, after;
	uint64_t begin_us = clock_mono_us(), took_us;

	store_get_stats(b->store, &before);
	b->start = start;
	b->n_done = b->n_failed = 0;
	b->n_us = 0;
	b->begun_us = begin_us;
	b->end_us = begin_us + (uint64_t)(seconds * 1e6);
	while (b->in_flight < in_flight && start(b) == 0)
		b->in_flight++;
	event_base_dispatch(b->base);
	took_us = clock_mono_us() - begin_us;
	store_get_stats(b->store, &after);
	if (in_flight > 1)
		b->n_us = 0; /* it is not known which was which */
	qsort(b->us, b->n_us, sizeof(*b->us), bench_compare);
	printf("  \"%s\": {\"per_second\": %.0f, \"commits_per_second\": "
	       "%.0f, \"p50_us\": %u, \"p99_us\": %u, "
	       "\"failed\": %llu}%s\n",
	       name, (double)b->n_done * 1e6 / (double)took_us,
	       (double)(after.commits_total - before.commits_total) * 1e6 /
		       (double)took_us,
	       b->n_us ? b->us[b->n_us / 2] : 0,
	       b->n_us ? b->us[b->n_us * 99 / 100] : 0,
	       (unsigned long long)b->n_failed, separator);
}

static void bench_all(struct bench *b, double seconds, size_t in_flight)
{
	printf("{\n");
	bench_run(b, "increments", start_increment, seconds, in_flight, ",");
	bench_run(b, "increments_one_at_a_time", start_increment, seconds, 1,
		  ",");
	bench_run(b, "secret_puts", start_secret, seconds, in_flight, ",");
	bench_run(b, "submits", start_submit, seconds, in_flight, ",");
	bench_run(b, "claims_one_at_a_time", start_claim, seconds / 8, 1, ",");
	bench_run(b, "claims", start_claim, seconds / 8, in_flight, ",");
	bench_run(b, "variable_gets", start_get, seconds, in_flight, "");
	printf("}\n");
}

int main(int argc, char **argv)
{
	static const uint8_t key[VAULT_KEY_BYTES] = { 1 };
	const char *dir = argc > 1 ? argv[1] : NULL;
	double seconds = argc > 2 ? atof(argv[2]) : BENCH_SECONDS;
	size_t in_flight = argc > 3 ? (size_t)atol(argv[3]) : BENCH_IN_FLIGHT;
	struct vault *vault = NULL;
	static struct bench b;
	struct store_config config = { .data_dir = dir };
	char err[512];

	b.base = event_base_new();
	if (!dir) {
		fprintf(stderr, "usage: bench_store DIR|URL [SECONDS "
				"[IN_FLIGHT]]\n");
		return 2;
	}
	if (!b.base || vault_new(&vault, key) < 0)
		return 1;
	config.vault = vault;
	if (!strncmp(dir, "postgresql:", strlen("postgresql:")))
		config.url = dir;
	if (store_open(&b.store, b.base, &config, err, sizeof(err)) < 0) {
		fprintf(stderr, "bench_store: %s\n", err);
		return 1;
	}
	bench_all(&b, seconds, in_flight);
	store_close(b.store);
	vault_free(vault);
	event_base_free(b.base);
	return 0;
}
