#include "runner/usage_beat.h"

#include <event2/event.h>

#include "common/buf.h"
#include "common/clock.h"
#include "runner/line.h"
#include "runner/usage.h"

struct usage_beat {
	struct event *timer;
	struct line *line;
	bool own_cgroup;
};

static void usage_beat_arm(struct usage_beat *u, uint64_t ms)
{
	const struct timeval t = clock_timeval(ms);

	evtimer_add(u->timer, &t);
}

/* What cannot be seen, or has no memory, is not told: nothing hangs on it. */
static void usage_beat_on_timer(int fd, short what, void *ctx)
{
	struct usage_beat *u = ctx;
	struct buf json = { 0 };

	usage_beat_arm(u, USAGE_BEAT_MS);
	if (!usage_append(u->own_cgroup, &json))
		line_usage(u->line, json.data, json.len);
	buf_deinit(&json);
}

void usage_beat_start(struct usage_beat **out, struct event_base *base,
		      struct line *line, bool own_cgroup)
{
	struct usage_beat *u = calloc(1, sizeof(*u));

	*out = u;
	if (!u)
		return;
	u->line = line;
	u->own_cgroup = own_cgroup;
	u->timer = evtimer_new(base, usage_beat_on_timer, u);
	if (u->timer)
		usage_beat_arm(u, USAGE_BEAT_FIRST_MS);
	else
		usage_beat_stop(out);
}

void usage_beat_stop(struct usage_beat **u)
{
	if (*u && (*u)->timer)
		event_free((*u)->timer);
	free(*u);
	*u = NULL;
}
