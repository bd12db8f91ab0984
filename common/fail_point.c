#include "common/fail_point.h"

#ifdef CRONIUM_FAIL_POINTS

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/macro.h"

#define FAIL_POINTS_MAX 16
#define FAIL_POINT_NAME_BYTES 64

enum fail_action { FAIL_KILL, FAIL_STOP, FAIL_ERROR };

struct fail_armed {
	char name[FAIL_POINT_NAME_BYTES];
	enum fail_action action;
	int error;    /* negative errno */
	bool forever; /* the error, from then on */
	unsigned long at;
	atomic_ulong hits;
};

static const struct {
	const char *name;
	int number;
} fail_errors[] = {
	{ "EIO", EIO },
	{ "ENOMEM", ENOMEM },
	{ "ENOSPC", ENOSPC },
	{ "EROFS", EROFS },
};

static struct fail_armed fail_armed[FAIL_POINTS_MAX];
static size_t fail_n_armed;
static pthread_once_t fail_once = PTHREAD_ONCE_INIT;

static void fail_refuse(const char *item)
{
	fprintf(stderr,
		"CRONIUM_FAIL_POINTS: '%s' is no NAME=kill|stop|ERRNO[+][@N]\n",
		item);
	_exit(2);
}

static bool fail_parse_error(struct fail_armed *f, const char *action)
{
	size_t len = strlen(action);

	f->action = FAIL_ERROR;
	f->forever = len && action[len - 1] == '+';
	len -= f->forever;
	for (size_t i = 0; i < ARRAY_SIZE(fail_errors); i++)
		if (strlen(fail_errors[i].name) == len &&
		    !strncmp(fail_errors[i].name, action, len))
			f->error = -fail_errors[i].number;
	return f->error != 0;
}

static bool fail_parse_action(struct fail_armed *f, const char *action)
{
	if (strcmp(action, "kill") && strcmp(action, "stop"))
		return fail_parse_error(f, action);
	f->action = *action == 'k' ? FAIL_KILL : FAIL_STOP;
	return true;
}

/* The N of "@N"; 0: it is no number. */
static unsigned long fail_parse_at(const char *at)
{
	char *end;
	unsigned long n = strtoul(at, &end, 10);

	return *end ? 0 : n;
}

static void fail_parse(char *item)
{
	char *action = strchr(item, '='), *at;
	struct fail_armed *f = &fail_armed[fail_n_armed];

	if (!action || fail_n_armed == FAIL_POINTS_MAX ||
	    action - item >= FAIL_POINT_NAME_BYTES)
		fail_refuse(item);
	*action++ = '\0';
	snprintf(f->name, sizeof(f->name), "%s", item);
	at = strchr(action, '@');
	if (at)
		*at++ = '\0';
	f->at = at ? fail_parse_at(at) : 1;
	if (!f->at || !fail_parse_action(f, action))
		fail_refuse(item);
	fail_n_armed++;
}

static void fail_init(void)
{
	const char *env = getenv("CRONIUM_FAIL_POINTS");
	char *text = env ? strdup(env) : NULL, *rest = text, *item;

	while (rest && (item = strsep(&rest, ",")))
		if (*item)
			fail_parse(item);
	free(text);
}

static int fail_act(const struct fail_armed *f)
{
	switch (f->action) {
	case FAIL_KILL:
		kill(getpid(), SIGKILL);
		break;
	case FAIL_STOP:
		kill(getpid(), SIGSTOP);
		break;
	case FAIL_ERROR:
		return f->error;
	}
	return 0;
}

int fail_point_hit(const char *name)
{
	pthread_once(&fail_once, fail_init);
	for (size_t i = 0; i < fail_n_armed; i++) {
		struct fail_armed *f = &fail_armed[i];
		unsigned long n;

		if (strcmp(f->name, name) != 0)
			continue;
		n = atomic_fetch_add(&f->hits, 1) + 1;
		if (n == f->at || (n > f->at && f->forever))
			return fail_act(f);
	}
	return 0;
}

#else

/* A translation unit has to have something in it. */
typedef int fail_point_none;

#endif
