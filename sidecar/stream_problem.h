/* Why a stream cannot be written on: the backend's problem document or the
 * sidecar's own, with the number of records that are stored. */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "common/buf.h"
#include "common/macro.h"

struct backend_response;
struct reply;

/* Embedded by value; zero-initialise. */
struct stream_problem {
	int status;
	bool lost; /* the backend does not answer: it cannot be asked either */
	bool next_is_record; /* that is at fault: its number was not known */
	char retry_after[16];
	json_t *document; /* NULL: there was no memory for one */
};

void stream_problem_deinit(struct stream_problem *p);

/* The sidecar's own. */
void stream_problem_set(struct stream_problem *p, const struct reply *reply,
			int status, const char *code, const char *fmt, ...)
	PRINTF_LIKE(5, 6);
/* The number of the record that is at fault; -1: that of the next one, all
 * before it being stored. */
void stream_problem_set_record(struct stream_problem *p, int64_t record);
/* Where in its line. */
void stream_problem_set_offset(struct stream_problem *p, uint64_t offset);
/* The backend's, or that there is none. */
void stream_problem_take(struct stream_problem *p, const struct reply *reply,
			 const struct backend_response *r);

/* One line; next may be NULL. 0 or -ENOMEM. */
int stream_problem_render(struct stream_problem *p, const uint64_t *next,
			  struct buf *out) MUST_CHECK;
/* Answers with what was rendered. */
void stream_problem_send(const struct stream_problem *p, struct reply *reply,
			 const struct buf *text);
