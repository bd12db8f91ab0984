/*
 * Sends records, one JSON value a line, from a descriptor to a job's input
 * stream: one append at a time, read no faster than the server takes them, and
 * repeated with the same Idempotency-Key until it has.
 *
 *   ASKING ──▶ READING ◀──▶ SENDING ──▶ OVER
 *      └───────────┴─────────────────────▲
 *
 * ASKING:  whether there is such a stream.
 * READING: waits for whole lines.
 * SENDING: an append is under way; what can be read is read meanwhile.
 * OVER:    everything is acknowledged, or it cannot be; see the end.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "common/macro.h"

/* Of one append, as the server takes them, and so of one record. */
#define STREAM_SEND_MAX_BYTES (1024 * 1024)

struct api;
struct stream_send;

enum stream_send_end {
	STREAM_SEND_DONE,
	STREAM_SEND_LEFT,   /* the job ended, or the stream was ended */
	STREAM_SEND_FAILED, /* told on stderr */
};

struct stream_send_options {
	int fd;         /* read to its end; borrowed */
	const char *id; /* of the job; copied */
	bool keep_open; /* do not end the stream at the end of fd */
	/* Once, from the loop; the sender may be freed in it. */
	void (*on_end)(enum stream_send_end end, void *ctx);
	void *ctx;
};

/* 0, or -ENOMEM or -errno of the descriptor. */
int stream_send_new(struct stream_send **out, struct api *api,
		    const struct stream_send_options *options) MUST_CHECK;
void stream_send_free(struct stream_send *s);
DEFINE_CLEANUP(struct stream_send *, stream_send_free)

/* Records of ours that the server has acknowledged. */
uint64_t stream_send_acknowledged(const struct stream_send *s);

/* For a command that does nothing else meanwhile. */
struct stream_send_job {
	const char *id;
	int fd; /* borrowed */
	bool keep_open;
};

/* Sends all, or until Ctrl-C. An exit code, after messages; *records of ours
 * are stored. */
int stream_send_job(struct api *api, const struct stream_send_job *job,
		    uint64_t *records) MUST_CHECK;

/* FILE or "-" (stdin) for reading. A descriptor, or -1 after an error message
 * that names the option. */
int stream_send_open(const char *option, const char *path) MUST_CHECK;
/* But for stdin. */
void stream_send_closep(const int *fd);
