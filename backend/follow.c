#include "backend/follow.h"

#include <errno.h>
#include <stdio.h>
#include <uthash.h>

#include "common/id.h"

struct follow_topic {
	char job[ID_MAX_BYTES];
	LIST_HEAD(, follower) followers;
	bool busy; /* events are being handed out: do not free */
	UT_hash_handle hh;
};

struct follow {
	struct follow_topic *topics;
};

int follow_new(struct follow **out)
{
	*out = calloc(1, sizeof(**out));
	return *out ? 0 : -ENOMEM;
}

void follow_free(struct follow *fo)
{
	struct follow_topic *t, *tmp;

	if (!fo)
		return;
	HASH_ITER(hh, fo->topics, t, tmp)
	{
		HASH_DEL(fo->topics, t);
		free(t);
	}
	free(fo);
}

static struct follow_topic *follow_find(const struct follow *fo,
					const char *job)
{
	struct follow_topic *t;

	HASH_FIND_STR(fo->topics, job, t);
	return t;
}

int follow_add(struct follow *fo, const char *job, struct follower *f)
{
	struct follow_topic *t = follow_find(fo, job);

	if (!t) {
		t = calloc(1, sizeof(*t));
		if (!t)
			return -ENOMEM;
		snprintf(t->job, sizeof(t->job), "%s", job);
		LIST_INIT(&t->followers);
		HASH_ADD_STR(fo->topics, job, t);
		if (!t->hh.tbl) {
			free(t);
			return -ENOMEM;
		}
	}
	f->topic = t;
	LIST_INSERT_HEAD(&t->followers, f, entry);
	return 0;
}

static void follow_drop_unused(struct follow *fo, struct follow_topic *t)
{
	if (t->busy || !LIST_EMPTY(&t->followers))
		return;
	HASH_DEL(fo->topics, t);
	free(t);
}

void follow_remove(struct follow *fo, struct follower *f)
{
	struct follow_topic *t = f->topic;

	if (!t)
		return;
	f->topic = NULL;
	LIST_REMOVE(f, entry);
	follow_drop_unused(fo, t);
}

bool follow_wanted(const struct follow *fo, const char *job)
{
	return follow_find(fo, job) != NULL;
}

void follow_foreach(const struct follow *fo,
		    void (*fn)(const char *job, void *ctx), void *ctx)
{
	struct follow_topic *t, *tmp;

	HASH_ITER(hh, fo->topics, t, tmp)
	fn(t->job, ctx);
}

void follow_publish(struct follow *fo, const char *job,
		    const struct follow_event *ev)
{
	struct follow_topic *t = follow_find(fo, job);
	struct follower *f, *next;

	if (!t)
		return;
	t->busy = true;
	for (f = LIST_FIRST(&t->followers); f; f = next) {
		next = LIST_NEXT(f, entry);
		f->on_event(f, ev);
	}
	t->busy = false;
	follow_drop_unused(fo, t);
}

void follow_stop(struct follow *fo)
{
	const struct follow_event stop = { .stop = true };
	struct follow_topic *t, *tmp;

	HASH_ITER(hh, fo->topics, t, tmp)
	follow_publish(fo, t->job, &stop);
}
