/*
 * Messages of the door between a sidecar and its orchestrator (ARCHITECTURE.md,
 * The egress proxy): a JSON object a packet of a SOCK_SEQPACKET socket, with a
 * descriptor or without.
 */
#pragma once

#include <jansson.h>

#include "common/macro.h"

#define DOOR_MESSAGE_MAX_BYTES 4096

/* attached: goes with it, the caller keeps its own; -1: none. The message is
 * consumed (NULL: -ENOMEM). 0, -EAGAIN where the other side does not read, or
 * negative errno. */
int door_message_send(int fd, json_t *message, int attached) MUST_CHECK;
/* A new reference and a descriptor of the caller's, or -1. 0, -EAGAIN, -EPIPE
 * at the end, -EPROTO for what is no message, or negative errno. */
int door_message_receive(int fd, json_t **message, int *attached) MUST_CHECK;
