#include "sidecar/gateway_request.h"

#include <inttypes.h>
#include <stdio.h>

#include "common/clock.h"
#include "common/http/problem.h"
#include "common/http/trace.h"
#include "common/token.h"
#include "sidecar/auth.h"
#include "sidecar/budget.h"
#include "sidecar/execution.h"
#include "sidecar/request.h"
#include "sidecar/routes.h"
#include "sidecar/seat.h"
#include "sidecar/seat_table.h"

/* Who asks, as far as the token says. */
struct caller {
	const char *header;
	struct seat_entry *entry; /* NULL: none, or it has ended */
	struct auth *auth;
};

int gateway_door_init(struct gateway_door *d)
{
	struct token_key *key;
	int r;

	if ((r = seat_table_new(&d->seats)) ||
	    (r = budget_table_new(&d->budgets)) ||
	    (r = token_key_generate(&key)))
		return r;
	return auth_new(&d->nobody, key, "", "");
}

void gateway_door_deinit(struct gateway_door *d)
{
	seat_table_free(d->seats);
	budget_table_free(d->budgets);
	auth_free(d->nobody);
}

static struct caller identify(const struct gateway_door *d,
			      const struct http_request *http)
{
	struct caller c = {
		.header = http_request_header(http, "authorization"),
	};
	char execution[SEAT_EXECUTION_BYTES];

	auth_claimed_execution(c.header, execution, sizeof(execution));
	c.entry = seat_table_find(d->seats, execution);
	if (c.entry)
		c.auth = seat_execution(c.entry->seat)->auth;
	else
		c.auth = seat_table_find_ended(d->seats, execution);
	if (!c.auth)
		c.auth = d->nobody;
	return c;
}

/* --- without a good token ------------------------------------------------- */

static void charge(struct gateway_door *d, const struct http_peer *peer)
{
	budget_charge(d->budgets, peer->network, clock_mono_ms());
}

/* Before anything that costs much. */
static bool check_budget(struct gateway_door *d, struct http_exchange *ex,
			 const struct caller *c)
{
	const struct http_peer *peer = http_exchange_request(ex)->peer;
	uint64_t wait_ms = budget_look(d->budgets, peer->network,
				       clock_mono_ms());
	char seconds[24];
	const struct http_header headers[] = {
		{ "Retry-After", seconds },
		{ "Content-Type", "application/problem+json" },
	};
	struct reply reply;

	if (!wait_ms || auth_knows(c->auth, c->header))
		return true;
	snprintf(seconds, sizeof(seconds), "%" PRIu64, rate_wait_s(wait_ms));
	d->metrics.auth_refused++;
	reply_init(&reply, ex, &d->metrics, METRICS_HEALTH, NULL);
	reply_problem_with(&reply, 429, "rate_limited", headers,
			   "too many requests without a good token came from "
			   "this address; go on in %s s",
			   seconds);
	return false;
}

static void refuse(struct gateway_door *d, struct request *req, int error)
{
	charge(d, req->http->peer);
	if (error > 0)
		routes_refuse_token(req, error);
	else
		reply_problem(&req->reply, 503, "out_of_memory",
			      "the token cannot be checked now; try again");
}

static void run_public(struct gateway_door *d, struct request *req)
{
	bool inside = req->http->peer->listener_tag == d->metrics_tag;

	if (!inside)
		charge(d, req->http->peer);
	if (routes_is_metrics(req) && !inside)
		http_problem(req->reply.ex, 404, "not_found", NULL,
			     "there is nothing at %s", req->http->path);
	else
		routes_run(req);
}

/* --- with one ------------------------------------------------------------- */

/* From here on it is the execution's request. */
static void take_seat(struct request *req, const struct seat_entry *e)
{
	struct execution *x = seat_execution(e->seat);

	req->execution = x;
	req->reply.metrics = x->metrics;
	http_trace_id_or(req->http, execution_trace(x), req->reply.trace);
	http_exchange_set_account(req->reply.ex, e->account);
}

static void run(struct gateway_door *d, struct request *req,
		const struct caller *c)
{
	int r = auth_check(c->auth, c->header, clock_wall_s(), &req->claims);

	if (c->entry)
		req->execution = seat_execution(c->entry->seat);
	if (!r && !c->entry) /* of nobody: it cannot be */
		r = AUTH_E_REVOKED;
	if (r) {
		refuse(d, req, r);
		return;
	}
	take_seat(req, c->entry);
	if (!execution_admit(req->execution, RATE_REQUESTS, &req->reply))
		return;
	if (seat_state(c->entry->seat) == SEAT_ASSIGNED)
		routes_run_authorized(req);
	else
		reply_draining(&req->reply);
}

void gateway_door_request(struct gateway_door *d, struct http_exchange *ex)
{
	const struct http_request *http = http_exchange_request(ex);
	struct caller c = identify(d, http);
	struct request req;

	if (!check_budget(d, ex, &c))
		return;
	if (!routes_find(&req, ex, &d->metrics, NULL)) {
		if (!auth_knows(c.auth, c.header))
			charge(d, http->peer);
		return;
	}
	req.health = &d->health;
	if (routes_is_public(&req))
		run_public(d, &req);
	else if (http->peer->listener_tag == d->metrics_tag)
		http_problem(ex, 404, "not_found", NULL,
			     "there is nothing at %s", http->path);
	else
		run(d, &req, &c);
}
