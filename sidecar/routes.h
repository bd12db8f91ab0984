/*
 * The runtime API as a table: which call, who may make it, what it does.
 *
 *   request ─▶ route ─▶ (public: handler) ─▶ token ─▶ scope ─▶ handler
 */
#pragma once

#include <stdbool.h>

struct execution;
struct http_exchange;
struct metrics;
struct request;

/* Fills req but for claims; x is NULL before the assignment. False after
 * having answered 404 or 405. */
bool routes_find(struct request *req, struct http_exchange *ex,
		 struct metrics *metrics, struct execution *x);
/* Needs neither a token nor an assignment. */
bool routes_is_public(const struct request *req);
/* Answers the request, now or later. req->execution is set, except where
 * routes_is_public(). */
void routes_run(struct request *req);

/* The two halves of that, for a token that was checked elsewhere. */
void routes_run_authorized(struct request *req);
/* Answers 401; error: what auth_check() gave, > 0. req->execution, whose audit
 * log is told, may be NULL. */
void routes_refuse_token(struct request *req, int error);
/* /metrics */
bool routes_is_metrics(const struct request *req);
