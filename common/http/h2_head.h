/* The head of an HTTP/2 request, collected field by field. Pure. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/buf.h"
#include "common/http/server.h"
#include "common/macro.h"

/* Zero-initialised is empty and valid. */
struct h2_head {
	struct buf text; /* "name\0value\0" of each field */
	struct http_header *fields;
	uint32_t n_fields;
	size_t bytes; /* as SETTINGS_MAX_HEADER_LIST_SIZE counts */
	size_t method, path, authority; /* offsets in text; 0: absent */
	bool complete;
};

void h2_head_deinit(struct h2_head *h);

/* Positive outcomes of h2_head_add(). */
enum {
	H2_HEAD_E_TOO_LARGE = 1, /* not kept: will be refused */
	H2_HEAD_E_FLOOD,         /* not even worth an answer */
};

/* 0, H2_HEAD_E_* or -ENOMEM. */
int h2_head_add(struct h2_head *h, const struct http_limits *limits,
		const uint8_t *name, size_t name_len, const uint8_t *value,
		size_t value_len) MUST_CHECK;

/* Fills req, which points into h from then on. Returns 0, or the HTTP status
 * to refuse with and *why; -ENOMEM. */
int h2_head_read(struct h2_head *h, const struct http_limits *limits,
		 struct http_request *req, bool *expect_continue,
		 const char **why) MUST_CHECK;
