/*
 * What it costs to make and validate a runtime configuration, beside bare
 * copies of the same strings.
 *
 *     bench_runtime_config [ROUND_MS]
 *
 * The two take turns, so that they see the same machine; prints a JSON object
 * with the nanoseconds of processor time of each round, and with what one
 * takes of the heap while it lives.
 */
#include <malloc.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "common/clock.h"
#include "common/runtime_config.h"

#define ROUNDS 7
#define ROUND_MS 400
#define CALLS_A_TURN 64
#define LIVE 1000 /* at once, to see what one takes */

/* What a typical script asks for. */
static const struct runtime_config_options typical = {
	.type = "node",
	.entrypoint = "src/main.mjs",
	.environment = "staging",
	.permissions = {
		.net = RUNTIME_ALLOW_LIST("api.example.com:443",
					  "*.storage.example.com"),
		.read = RUNTIME_ALLOW_LIST("/data", "/etc/ssl/certs"),
		.write = RUNTIME_ALLOW_LIST("/tmp"),
		.env = RUNTIME_ALLOW_LIST("TZ", "LANG", "AWS_REGION"),
	},
	.node_options = (const char *const[]){
		"--enable-source-maps", "--max-old-space-size=384", NULL },
	.max_memory_mb = 512,
	.timeout_ms = 30000,
	.retries = 2,
};

static const char *const strings[] = {
	"node",
	"src/main.mjs",
	"staging",
	"api.example.com:443",
	"*.storage.example.com",
	"/data",
	"/etc/ssl/certs",
	"/tmp",
	"TZ",
	"LANG",
	"AWS_REGION",
	"--enable-source-maps",
	"--max-old-space-size=384",
};

struct copies {
	char *strings[ARRAY_SIZE(strings)];
};

static void check(int ok)
{
	if (!ok) {
		fputs("bench_runtime_config: a check failed\n", stderr);
		exit(1);
	}
}

/* --- what is measured ----------------------------------------------------- */

static void *make(void)
{
	struct buf violations = { 0 };
	struct runtime_config *c;

	check(!runtime_config_new(&c, &typical, &violations));
	return c;
}

static void unmake(void *c)
{
	runtime_config_free(c);
}

static void *copy(void)
{
	struct copies *c = malloc(sizeof(*c));

	check(c != NULL);
	for (size_t i = 0; i < ARRAY_SIZE(strings); i++) {
		c->strings[i] = strdup(strings[i]);
		check(c->strings[i] != NULL);
	}
	return c;
}

static void uncopy(void *copies)
{
	struct copies *c = copies;

	for (size_t i = 0; i < ARRAY_SIZE(strings); i++)
		free(c->strings[i]);
	free(c);
}

static const struct {
	const char *name;
	void *(*make)(void);
	void (*free)(void *made);
} MEASURED[] = {
	{ "make", make, unmake },
	{ "copy", copy, uncopy },
};

/* --- measuring ------------------------------------------------------------ */

static uint64_t cpu_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &ts);
	return (uint64_t)ts.tv_sec * 1000000000 + (uint64_t)ts.tv_nsec;
}

/* Nanoseconds of processor that each takes, freed again, over about ms
 * milliseconds. */
static void measure_time(uint64_t ms, double *out)
{
	uint64_t end_us = clock_mono_us() + ms * 1000;
	uint64_t ns[ARRAY_SIZE(MEASURED)] = { 0 }, n = 0;

	do {
		for (size_t i = 0; i < ARRAY_SIZE(MEASURED); i++) {
			uint64_t start_ns = cpu_ns();

			for (int k = 0; k < CALLS_A_TURN; k++)
				MEASURED[i].free(MEASURED[i].make());
			ns[i] += cpu_ns() - start_ns;
		}
		n += CALLS_A_TURN;
	} while (clock_mono_us() < end_us);
	for (size_t i = 0; i < ARRAY_SIZE(MEASURED); i++)
		out[i] = (double)ns[i] / (double)n;
}

/* The heap's, its own book-keeping included. */
static double measure_bytes(size_t which)
{
	static void *made[LIVE];
	size_t before = mallinfo2().uordblks;
	double bytes;

	for (size_t i = 0; i < LIVE; i++)
		made[i] = MEASURED[which].make();
	bytes = (double)(mallinfo2().uordblks - before) / LIVE;
	for (size_t i = 0; i < LIVE; i++)
		MEASURED[which].free(made[i]);
	return bytes;
}

int main(int argc, char **argv)
{
	double ns[ROUNDS][ARRAY_SIZE(MEASURED)];
	uint64_t ms = argc > 1 ? strtoul(argv[1], NULL, 10) : ROUND_MS;

	for (int round = 0; round < ROUNDS; round++)
		measure_time(ms, ns[round]);
	for (size_t i = 0; i < ARRAY_SIZE(MEASURED); i++) {
		printf("%s\"%s\":{\"bytes\":%.0f,\"ns\":[", i ? "," : "{",
		       MEASURED[i].name, measure_bytes(i));
		for (int round = 0; round < ROUNDS; round++)
			printf("%s%.1f", round ? "," : "", ns[round][i]);
		printf("]}");
	}
	puts("}");
	return 0;
}
