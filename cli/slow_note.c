#include "cli/slow_note.h"

#include <errno.h>
#include <event2/event.h>
#include <stdlib.h>
#include <string.h>

#include "cli/api.h"
#include "cli/output.h"
#include "common/clock.h"
#include "common/json.h"

struct slow_note {
	struct api *api;
	struct event *timer;
	struct backend_call *probe; /* NULL: none is under way */
};

static void slow_note_say(struct slow_note *n, const struct backend_response *r)
{
	_cleanup_json_ json_t *o = json_parse_object(r->body, r->body_len, NULL,
						     0);

	if (n->api->slow_said)
		return;
	n->api->slow_said = true;
	if (!strcmp(json_get_str(o, "store", ""), "away"))
		output_warn("the backend answers, but its database does not: "
			    "there is no connection to it; waiting");
	else
		output_warn("the backend answers, but has no reply to this "
			    "yet; waiting");
}

/* Where it does not answer either, the call itself will say so. */
static void slow_note_on_done(struct backend_call *call,
			      const struct backend_response *r, void *ctx)
{
	struct slow_note *n = ctx;

	n->probe = NULL;
	if (!r->error && r->status == 200)
		slow_note_say(n, r);
}

static void slow_note_on_timer(evutil_socket_t fd, short what, void *ctx)
{
	static const struct backend_call_ops ops = {
		.on_done = slow_note_on_done,
	};
	const struct backend_request request = {
		.method = "GET",
		.path = "/healthz",
		.attempt_timeout_ms = SLOW_NOTE_ANSWER_MS,
		.retry = BACKEND_RETRY_NEVER,
	};
	struct slow_note *n = ctx;

	/* Without memory for it nothing is said. */
	if (backend_client_call(n->api->client, &request, &ops, n, &n->probe))
		n->probe = NULL;
}

int slow_note_start(struct slow_note **out, struct api *api)
{
	const struct timeval after = clock_timeval(SLOW_NOTE_MS);
	struct slow_note *n;

	*out = NULL;
	if (api->slow_said)
		return 0;
	n = calloc(1, sizeof(*n));
	if (!n)
		return -ENOMEM;
	n->api = api;
	n->timer = evtimer_new(api->base, slow_note_on_timer, n);
	if (!n->timer || event_add(n->timer, &after) < 0) {
		slow_note_stop(n);
		return -ENOMEM;
	}
	*out = n;
	return 0;
}

void slow_note_stop(struct slow_note *n)
{
	if (!n)
		return;
	if (n->probe)
		backend_call_cancel(n->probe);
	if (n->timer)
		event_free(n->timer);
	free(n);
}
