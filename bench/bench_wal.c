/*
 * What a record of the write-ahead log costs, beside the same bytes with plain
 * write and fdatasync.
 *
 *     bench_wal DIR [ROUND_MS]
 *
 * Four take turns: records appended and written, one write for TURN of them;
 * write of the same bytes; records appended, each of TURN waited for together
 * until it is on disk; write and fdatasync of the same bytes. Prints a JSON
 * object with the records a second of each round.
 */
#include <event2/event.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/buf.h"
#include "common/clock.h"
#include "common/log.h"
#include "orchestrator/wal.h"

#define ROUNDS 7
#define ROUND_MS 400
#define TURN 16
#define SETTLE_EVERY (TURN * 256)
#define JOB "job_01j0000000000000000000000a"
#define EXECUTION "ex_01j0000000000000000000000a"

struct bench {
	struct event_base *base;
	struct wal *wal;
	json_t *data;
	int fd;
	struct buf lines; /* TURN records */
	off_t at;
};

static void check(bool ok)
{
	if (!ok) {
		fputs("bench_wal: a check failed\n", stderr);
		exit(1);
	}
}

/* --- what is measured: TURN records --------------------------------------- */

static void append_turn(struct bench *b)
{
	for (int i = 0; i < TURN; i++)
		check(wal_append(b->wal, WAL_POD_CREATED, JOB, EXECUTION,
				 b->data) > 0);
}

static void write_ours(struct bench *b)
{
	append_turn(b);
	check(!wal_write_now(b->wal));
	check(event_base_loop(b->base, EVLOOP_NONBLOCK) >= 0);
}

static void write_plain(struct bench *b)
{
	check(pwrite(b->fd, b->lines.data, b->lines.len, b->at) ==
	      (ssize_t)b->lines.len);
	b->at += (off_t)b->lines.len;
}

static void on_synced(int r, void *ctx)
{
	struct bench *b = ctx;

	check(!r);
	check(!event_base_loopbreak(b->base));
}

static void sync_ours(struct bench *b)
{
	append_turn(b);
	check(!wal_sync(b->wal, on_synced, b));
	check(event_base_dispatch(b->base) >= 0);
}

static void sync_plain(struct bench *b)
{
	write_plain(b);
	check(!fdatasync(b->fd));
}

static const struct {
	const char *name;
	void (*turn)(struct bench *b);
} measured[] = {
	{ "append", write_ours },
	{ "write", write_plain },
	{ "synced", sync_ours },
	{ "fdatasync", sync_plain },
};

/* What it left to be written back is nobody else's to wait for. */
static void settle(struct bench *b)
{
	sync_ours(b);
	sync_plain(b);
}

/* Records a second. */
static double run_round(struct bench *b, size_t i, uint64_t round_ms)
{
	uint64_t taken = 0, n = 0;

	do {
		uint64_t begin = clock_mono_us();

		measured[i].turn(b);
		taken += clock_mono_us() - begin;
		n += TURN;
		/* Well below what may wait for the disk. */
		if (n % SETTLE_EVERY == 0)
			settle(b);
	} while (taken < round_ms * 1000);
	settle(b);
	return (double)n * 1e6 / (double)taken;
}

/* --- set up --------------------------------------------------------------- */

static void make_lines(struct bench *b)
{
	struct wal_record record = { .type = WAL_POD_CREATED,
				     .time_ms = clock_wall_ms(),
				     .job = JOB,
				     .execution = EXECUTION,
				     .data = b->data };

	for (record.seq = 100000; record.seq < 100000 + TURN; record.seq++)
		check(!wal_record_encode(&b->lines, &record, NULL));
}

static void set_up(struct bench *b, const char *dir)
{
	char err[512] = "", path[4096];
	struct wal_config config = { .data_dir = dir, .instance = "in_bench" };

	b->base = event_base_new();
	config.base = b->base;
	b->data = json_pack("{s:s, s:s, s:i}", "pod", EXECUTION, "executor",
			    "sandbox", "pid", 12345);
	check(b->base && b->data);
	make_lines(b);
	if (wal_open(&b->wal, &config, err, sizeof(err)) < 0) {
		fprintf(stderr, "bench_wal: %s\n", err);
		exit(1);
	}
	wal_needed(b->wal, UINT64_MAX);
	snprintf(path, sizeof(path), "%s/plain", dir);
	b->fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	check(b->fd >= 0);
}

static void tear_down(struct bench *b)
{
	wal_close(b->wal);
	event_base_free(b->base);
	json_decref(b->data);
	buf_deinit(&b->lines);
	close(b->fd);
}

int main(int argc, char **argv)
{
	uint64_t round_ms = argc > 2 ? strtoull(argv[2], NULL, 10) : ROUND_MS;
	double rates[ROUNDS][ARRAY_SIZE(measured)];
	struct bench b = { 0 };

	if (argc < 2) {
		fputs("usage: bench_wal DIR [ROUND_MS]\n", stderr);
		return 2;
	}
	log_init("bench_wal", LOG_LEVEL_WARN);
	set_up(&b, argv[1]);
	for (size_t round = 0; round < ROUNDS; round++)
		for (size_t i = 0; i < ARRAY_SIZE(measured); i++)
			rates[round][i] = run_round(&b, i, round_ms);
	tear_down(&b);
	for (size_t i = 0; i < ARRAY_SIZE(measured); i++) {
		printf("%s\"%s\":[", i ? "," : "{", measured[i].name);
		for (size_t round = 0; round < ROUNDS; round++)
			printf("%s%.0f", round ? "," : "", rates[round][i]);
		printf("]");
	}
	puts("}");
	return 0;
}
