/*
 * What the control streams of a pod's runner and of its sidecar have in common:
 * one that is closed takes what is sent to it, for its end is told by on_close
 * alone. See runner_link.h and sidecar_link.h for what is said.
 */
#pragma once

#include <jansson.h>
#include <stddef.h>

#include "common/frame.h"
#include "common/macro.h"

struct frame_stream;

/* 0 or -ENOMEM. */
int link_send(struct frame_stream *s, enum frame_type type, const void *payload,
	      size_t len) MUST_CHECK;
/* Takes o; NULL: -ENOMEM. */
int link_send_json(struct frame_stream *s, enum frame_type type,
		   json_t *o) MUST_CHECK;
/* The execution that the sender of this READY serves already, or NULL. */
const char *link_resumed(const json_t *ready);
