/*
 * The control stream of a pod's runner, as messages. Knows no order: that is
 * pod.c's.
 */
#pragma once

#include <stddef.h>

#include "common/frame.h"
#include "common/macro.h"

struct assignment;
struct cgroup_usage;
struct event_base;
struct executor_place;
struct log_position;
struct outcome_exit;
struct runner_link;

struct runner_link_ops {
	/* resumed: the execution that it has, or NULL; token: its own. */
	void (*on_ready)(void *ctx, const char *resumed, const char *token);
	void (*on_started)(void *ctx);
	/* FRAME_STDOUT, FRAME_STDERR; FRAME_NOTICE, a whole line. */
	void (*on_output)(void *ctx, enum frame_type type, const void *data,
			  size_t len);
	/* What the script's side uses at the moment. */
	void (*on_usage)(void *ctx, const struct cgroup_usage *live);
	/* All output has been delivered before. */
	void (*on_exit)(void *ctx, const struct outcome_exit *how);
	/* Once; reason is for a log. */
	void (*on_lost)(void *ctx, const char *reason);
};

/* Takes fd, also on error. 0 or negative errno. */
int runner_link_new(struct runner_link **out, struct event_base *base, int fd,
		    const struct runner_link_ops *ops, void *ctx) MUST_CHECK;
/* NULL is fine. Fine inside its callbacks. */
void runner_link_free(struct runner_link *l);

/* 0 or -ENOMEM; a broken stream is reported by on_lost alone. */
int runner_link_assign(struct runner_link *l, const struct assignment *a,
		       const struct executor_place *place) MUST_CHECK;
/* signal to the script's whole tree, SIGKILL after grace_ms. */
int runner_link_signal(struct runner_link *l, int signal,
		       unsigned int grace_ms) MUST_CHECK;

/* To one that is taken up: everything from there on, once more. */
int runner_link_take_up(struct runner_link *l, const struct assignment *a,
			const struct log_position *taken) MUST_CHECK;
/* Everything up to there need not be kept. */
int runner_link_taken(struct runner_link *l,
		      const struct log_position *taken) MUST_CHECK;
/* It may go, and leave nothing behind. */
void runner_link_dismiss(struct runner_link *l);

/* Back-pressure. */
void runner_link_pause(struct runner_link *l);
void runner_link_resume(struct runner_link *l);
