#include "sidecar/seat_table.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/http/server.h"
#include "sidecar/auth.h"
#include "sidecar/execution.h"
#include "sidecar/seat.h"

#define SEAT_REPLY_BYTES (32 * 1024 * 1024) /* that its script does not read */

struct ended {
	UT_hash_handle hh;
	TAILQ_ENTRY(ended) link; /* oldest first */
	struct auth *auth;
	char execution[SEAT_EXECUTION_BYTES];
};

struct seat_table {
	TAILQ_HEAD(, seat_entry) all;
	struct seat_entry *open;
	size_t n;
	TAILQ_HEAD(, ended) ended;
	struct ended *ended_by_execution;
	size_t n_ended;
};

int seat_table_new(struct seat_table **out)
{
	struct seat_table *t = calloc(1, sizeof(*t));

	if (!t)
		return -ENOMEM;
	TAILQ_INIT(&t->all);
	TAILQ_INIT(&t->ended);
	*out = t;
	return 0;
}

/* --- those that ended ----------------------------------------------------- */

static void ended_free(struct seat_table *t, struct ended *e)
{
	HASH_DEL(t->ended_by_execution, e);
	TAILQ_REMOVE(&t->ended, e, link);
	t->n_ended--;
	auth_free(e->auth);
	free(e);
}

static struct ended *ended_find(const struct seat_table *t,
				const char *execution)
{
	struct ended *e;

	HASH_FIND_STR(t->ended_by_execution, execution, e);
	return e;
}

/* Takes auth. Without memory for it the tokens are none of anybody. */
static void ended_remember(struct seat_table *t, const char *execution,
			   struct auth *auth)
{
	struct ended *e = ended_find(t, execution);

	if (e)
		ended_free(t, e);
	auth_end(auth);
	e = calloc(1, sizeof(*e));
	if (!e) {
		auth_free(auth);
		return;
	}
	e->auth = auth;
	strcpy(e->execution, execution);
	HASH_ADD_STR(t->ended_by_execution, execution, e);
	if (!e->hh.tbl) {
		auth_free(auth);
		free(e);
		return;
	}
	TAILQ_INSERT_TAIL(&t->ended, e, link);
	if (++t->n_ended > SEATS_ENDED_MAX)
		ended_free(t, TAILQ_FIRST(&t->ended));
}

struct auth *seat_table_find_ended(const struct seat_table *t,
				   const char *execution)
{
	const struct ended *e = ended_find(t, execution);

	return e ? e->auth : NULL;
}

/* --- those that are there ------------------------------------------------- */

int seat_table_add(struct seat_table *t, struct seat_entry **out)
{
	struct seat_entry *e;
	int r;

	if (t->n >= SEATS_MAX)
		return -EBUSY;
	e = calloc(1, sizeof(*e));
	if (!e)
		return -ENOMEM;
	r = http_account_new(&e->account, SEAT_REPLY_BYTES);
	if (r < 0) {
		free(e);
		return r;
	}
	TAILQ_INSERT_TAIL(&t->all, e, link);
	t->n++;
	*out = e;
	return 0;
}

/* A turn of the same execution before this one. */
static void supersede(struct seat_table *t, struct seat_entry *e)
{
	struct auth *auth = seat_execution(e->seat)->auth;
	struct seat_entry *before = seat_table_find(t, e->execution);
	const struct ended *ended;

	if (before) {
		seat_table_end(t, before);
		seat_drain(before->seat, "its execution has another seat");
	}
	ended = ended_find(t, e->execution);
	if (ended)
		auth_supersede(auth, ended->auth);
}

int seat_table_open(struct seat_table *t, struct seat_entry *e)
{
	const char *execution = seat_execution(e->seat)->assignment.execution;

	if (strlen(execution) >= sizeof(e->execution))
		return -EINVAL;
	strcpy(e->execution, execution);
	supersede(t, e);
	HASH_ADD_STR(t->open, execution, e);
	if (!e->hh.tbl)
		return -ENOMEM;
	e->place = SEAT_PLACE_OPEN;
	return 0;
}

void seat_table_end(struct seat_table *t, struct seat_entry *e)
{
	struct execution *x = e->seat ? seat_execution(e->seat) : NULL;

	if (e->place == SEAT_PLACE_OPEN) {
		HASH_DEL(t->open, e);
		ended_remember(t, e->execution, x->auth);
		x->auth = NULL;
	}
	e->place = SEAT_PLACE_ENDED;
}

void seat_table_remove(struct seat_table *t, struct seat_entry *e)
{
	seat_table_end(t, e);
	TAILQ_REMOVE(&t->all, e, link);
	t->n--;
	seat_free(e->seat);
	http_account_unref(e->account);
	free(e);
}

void seat_table_free(struct seat_table *t)
{
	if (!t)
		return;
	while (!TAILQ_EMPTY(&t->all))
		seat_table_remove(t, TAILQ_FIRST(&t->all));
	while (!TAILQ_EMPTY(&t->ended))
		ended_free(t, TAILQ_FIRST(&t->ended));
	free(t);
}

struct seat_entry *seat_table_find(const struct seat_table *t,
				   const char *execution)
{
	struct seat_entry *e;

	HASH_FIND_STR(t->open, execution, e);
	return e;
}

struct seat_entry *seat_table_first(const struct seat_table *t)
{
	return TAILQ_FIRST(&t->all);
}

size_t seat_table_count(const struct seat_table *t)
{
	return t->n;
}
