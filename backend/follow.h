/*
 * Fan-out of what happens to a job to those who watch it. Events are handed
 * on in the loop turn in which the store has committed them; nothing is
 * queued here.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <sys/queue.h>

#include "common/macro.h"

struct follow;
struct follow_topic;

struct follow_event {
	/* The job object, when its state changed; NULL: its log grew. */
	const char *job_json;
	size_t len;
	bool ended; /* the job: this was its last state */
	bool stop;  /* the backend stops: nothing more will be told */
};

/* Embedded by value. on_event may remove its own follower, no other. */
struct follower {
	void (*on_event)(struct follower *f, const struct follow_event *ev);
	struct follow_topic *topic; /* private to follow.c */
	LIST_ENTRY(follower) entry;
};

int follow_new(struct follow **out) MUST_CHECK;
void follow_free(struct follow *fo);

/* 0 or -ENOMEM. */
int follow_add(struct follow *fo, const char *job,
	       struct follower *f) MUST_CHECK;
/* One that was never added is fine. */
void follow_remove(struct follow *fo, struct follower *f);

/* Each job that somebody follows; fn may publish to it. */
void follow_foreach(const struct follow *fo,
		    void (*fn)(const char *job, void *ctx), void *ctx);
bool follow_wanted(const struct follow *fo, const char *job);
void follow_publish(struct follow *fo, const char *job,
		    const struct follow_event *ev);
/* Tells everybody that the backend stops. */
void follow_stop(struct follow *fo);
