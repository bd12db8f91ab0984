/*
 * GET /variables/{key}: from the cache, or from the backend with one call for
 * all who ask at the same time, or stale where the backend does not answer.
 */
#pragma once

struct execution;
struct request;

/* key was checked: the script may read it. */
void variable_read(struct request *req, const char *key);

/* At the end of the execution, when no reply can be sent any more. */
void variable_read_free_all(struct execution *x);
