/*
 * Why a job still waits: asks the server for its orchestrators, once, a while
 * after the job was queued.
 */
#pragma once

#include <jansson.h>

#include "common/macro.h"

struct api;
struct queue_check;

/* A job that has not been claimed after so long is worth a look. */
#define QUEUE_CHECK_AFTER_MS 2000

/*
 * job gives the job's last state when it is time (NULL: none is known yet).
 * on_nobody is called, from the loop, where the job is queued and no connected
 * orchestrator can run it, or none can get it because the server's store
 * fails; why is a sentence. NULL on ENOMEM.
 */
struct queue_check *queue_check_new(
	struct api *api, const json_t *(*job)(void *ctx),
	void (*on_nobody)(void *ctx, const char *why), void *ctx);
void queue_check_free(struct queue_check *q);
