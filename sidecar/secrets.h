/*
 * The secrets that the orchestrator was told, to be told to the next one: each
 * once. Pure.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

#include "common/macro.h"

/* A redactor takes no more of them (common/redact.h), but for the token. */
#define SECRETS_MAX 1025
#define SECRETS_MAX_BYTES (8 * 1024 * 1024)

struct secret {
	STAILQ_ENTRY(secret) link;
	size_t len;
	uint8_t value[];
};

/* Call secrets_init() first. */
struct secrets {
	STAILQ_HEAD(, secret) items;
	size_t n, bytes;
};

void secrets_init(struct secrets *s);
/* Wipes them. */
void secrets_deinit(struct secrets *s);

/* 0, also where it is there; -E2BIG over a SECRETS_MAX*, or -ENOMEM. */
int secrets_add(struct secrets *s, const void *value, size_t len) MUST_CHECK;
bool secrets_have(const struct secrets *s, const void *value, size_t len);
