/*
 * When a stream asks the backend again after a call has failed, and when it
 * gives up: backoff with full jitter, until there was no contact for
 * STREAM_LOST_MS.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "common/macro.h"

struct event;
struct event_base;

#define STREAM_LOST_MS 120000 /* without the backend: then it gives up */
#define STREAM_BACKOFF_INITIAL_MS 20
#define STREAM_BACKOFF_MAX_MS 2000

/* Embedded by value; zero-initialise. */
struct stream_retry {
	void (*on_due)(void *arg);
	void *arg;
	struct event *timer;
	unsigned int failures; /* since it last got on */
	uint64_t lost_ms;      /* the first without contact was then; or 0 */
};

/* on_due, from the loop: try again. 0 or -ENOMEM. */
int stream_retry_init(struct stream_retry *r, struct event_base *base,
		      void (*on_due)(void *arg), void *arg) MUST_CHECK;
void stream_retry_deinit(struct stream_retry *r);

/* The backend has answered. */
void stream_retry_contact(struct stream_retry *r);
/* And it was of use, so that the next failure is a first one. */
void stream_retry_progress(struct stream_retry *r);
/* It has not: on_due is called when it is time to. False: it is lost. */
bool stream_retry_again(struct stream_retry *r) MUST_CHECK;
/* It has, and wants to be asked again in a while. */
void stream_retry_later(struct stream_retry *r, uint64_t ms);

/* The same, pure; random is 32 uniform bits. -1: lost. */
int64_t stream_retry_plan(struct stream_retry *r, uint64_t now_ms,
			  uint32_t random);
