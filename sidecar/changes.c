#include "sidecar/changes.h"

#include <inttypes.h>

#include "backend-client/client.h"
#include "common/log.h"
#include "sidecar/cache.h"
#include "sidecar/execution.h"
#include "sidecar/relay.h"

static struct changes *changes_of(struct change_stream *s)
{
	return CONTAINER_OF(s, struct changes, stream);
}

/* Whatever was asked for before may be older than what has changed since. */
static void forget_all(struct execution *x, uint64_t version)
{
	x->metrics->invalidations += cache_drop_all_older(x->cache, version);
	flight_detach_all(&x->flights);
	relay_note_change(x, NULL, version);
}

static void on_position(struct change_stream *s, uint64_t version, bool reset)
{
	struct changes *c = changes_of(s);
	struct execution *x = s->execution;

	if (reset || !c->known)
		forget_all(x, version);
	c->known = true;
	c->told_lost = false;
	execution_log(x, LOG_LEVEL_DEBUG,
		      "hears of changes from version %" PRIu64 " on%s", version,
		      reset ? ", some before are missing" : "");
}

static void on_change(struct change_stream *s, const struct change *c)
{
	struct execution *x = s->execution;

	if (cache_drop_older(x->cache, c->key, c->version))
		x->metrics->invalidations++;
	flight_detach(&x->flights, c->key);
	relay_note_change(x, c->key, c->version);
}

static void on_lost(struct change_stream *s, const char *why)
{
	struct changes *c = changes_of(s);

	if (c->told_lost)
		return;
	c->told_lost = true;
	execution_log(s->execution, LOG_LEVEL_INFO,
		      "does not hear of changes: %s", why);
}

/* Values are believed for their time to live, as long as there are any. */
static void on_refused(struct change_stream *s,
		       const struct backend_response *r)
{
	execution_log(s->execution, LOG_LEVEL_INFO,
		      "will not hear of changes: the backend answers %d",
		      r->status);
}

void changes_init(struct changes *c, struct execution *x)
{
	static const struct change_stream_ops ops = {
		.on_position = on_position,
		.on_change = on_change,
		.on_lost = on_lost,
		.on_refused = on_refused,
	};

	change_stream_init(&c->stream, x, &ops, NULL, NULL, -1);
}

void changes_deinit(struct changes *c)
{
	if (c->stream.execution)
		change_stream_deinit(&c->stream);
}

void changes_want(struct changes *c)
{
	if (c->wanted)
		return;
	c->wanted = true;
	change_stream_start(&c->stream);
}
