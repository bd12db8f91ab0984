#include "cli/dev_store.h"

#include <errno.h>
#include <string.h>

#include "common/http/precondition.h"
#include "common/number.h"

void dev_store_init(struct dev_store *s)
{
	*s = (struct dev_store){ 0 };
	TAILQ_INIT(&s->variables);
	TAILQ_INIT(&s->changes);
}

static void variable_free(struct dev_store *s, struct dev_variable *v)
{
	TAILQ_REMOVE(&s->variables, v, link);
	buf_deinit_secret(&v->value);
	free(v->key);
	free(v);
}

static void change_free(struct dev_store *s, struct dev_change *c)
{
	TAILQ_REMOVE(&s->changes, c, link);
	s->n_changes--;
	buf_deinit_secret(&c->value);
	free(c->key);
	free(c);
}

void dev_store_deinit(struct dev_store *s)
{
	while (!TAILQ_EMPTY(&s->variables))
		variable_free(s, TAILQ_FIRST(&s->variables));
	while (!TAILQ_EMPTY(&s->changes))
		change_free(s, TAILQ_FIRST(&s->changes));
}

static struct dev_variable *find(const struct dev_store *s, const char *key)
{
	struct dev_variable *v;

	TAILQ_FOREACH(v, &s->variables, link)
		if (!strcmp(v->key, key))
			return v;
	return NULL;
}

const struct dev_variable *dev_store_find(const struct dev_store *s,
					  const char *key)
{
	return find(s, key);
}

static void insert(struct dev_store *s, struct dev_variable *v)
{
	struct dev_variable *after = NULL, *at;

	TAILQ_FOREACH(at, &s->variables, link)
		if (strcmp(at->key, v->key) < 0)
			after = at;
	if (after)
		TAILQ_INSERT_AFTER(&s->variables, after, v, link);
	else
		TAILQ_INSERT_HEAD(&s->variables, v, link);
}

static struct dev_variable *variable_new(const char *key)
{
	struct dev_variable *v = calloc(1, sizeof(*v));

	if (v)
		v->key = strdup(key);
	if (v && v->key)
		return v;
	free(v);
	return NULL;
}

int dev_store_add(struct dev_store *s, const char *key, const void *value,
		  size_t len, bool secret)
{
	struct dev_variable *v = variable_new(key);

	if (!v)
		return -ENOMEM;
	insert(s, v);
	v->version = ++s->version;
	v->secret = secret;
	return buf_append(&v->value, value, len);
}

/* --- changes -------------------------------------------------------------- */

const struct dev_change *dev_store_last(const struct dev_store *s)
{
	return TAILQ_LAST(&s->changes, dev_changes);
}

/* Makes room for a change, so that a write is all or nothing. */
static struct dev_change *change_new(const char *key, const struct buf *value)
{
	struct dev_change *c = calloc(1, sizeof(*c));

	if (!c)
		return NULL;
	c->key = strdup(key);
	c->kept = value && value->len <= DEV_CHANGE_VALUE_MAX_BYTES;
	if (c->key &&
	    (!c->kept || !buf_append(&c->value, value->data, value->len)))
		return c;
	free(c->key);
	free(c);
	return NULL;
}

static void change_add(struct dev_store *s, struct dev_change *c)
{
	c->version = ++s->version;
	TAILQ_INSERT_TAIL(&s->changes, c, link);
	if (++s->n_changes > DEV_CHANGES_MAX)
		change_free(s, TAILQ_FIRST(&s->changes));
}

bool dev_store_lost(const struct dev_store *s, const char *key, int64_t after)
{
	const struct dev_change *first = TAILQ_FIRST(&s->changes), *c;
	const struct dev_variable *v = key ? find(s, key) : NULL;

	if (after > s->version)
		return true;
	if (v && v->version <= after)
		return false;
	if (after < (first ? first->version - 1 : s->version))
		return true;
	TAILQ_FOREACH(c, &s->changes, link)
		if (key && c->version > after && !strcmp(c->key, key) &&
		    !c->kept && !c->deleted && (!v || v->version != c->version))
			return true;
	return false;
}

const struct buf *dev_change_value(const struct dev_store *s,
				   const struct dev_change *c)
{
	static const struct buf none;
	const struct dev_variable *v;

	if (c->kept)
		return &c->value;
	v = find(s, c->key);
	return v ? &v->value : &none;
}

/* --- writing -------------------------------------------------------------- */

static int check_version(const struct dev_variable *v, int64_t expect)
{
	int64_t version = v ? v->version : 0;

	if (expect == HTTP_EXPECT_ANY || expect == version ||
	    (expect == HTTP_EXPECT_PRESENT && v))
		return 0;
	return v && expect == HTTP_EXPECT_ABSENT ? DEV_STORE_E_EXISTS
						 : DEV_STORE_E_CONFLICT;
}

static int store(struct dev_store *s, struct dev_variable *v, const char *key,
		 const void *value, size_t len)
{
	struct buf copy = { 0 };
	struct dev_variable *target = v ? v : variable_new(key);
	struct dev_change *c = NULL;

	if (target && !buf_append(&copy, value, len))
		c = change_new(key, &copy);
	if (!c) {
		buf_deinit(&copy);
		if (target && !v) {
			free(target->key);
			free(target);
		}
		return -ENOMEM;
	}
	if (!v)
		insert(s, target);
	buf_deinit_secret(&target->value);
	target->value = copy;
	target->written = true;
	c->secret = target->secret;
	change_add(s, c);
	target->version = c->version;
	return 0;
}

int dev_store_put(struct dev_store *s, const char *key, const void *value,
		  size_t len, int64_t expect, bool *created)
{
	struct dev_variable *v = find(s, key);
	int r = check_version(v, expect);

	*created = !v;
	return r ? r : store(s, v, key, value, len);
}

int dev_store_increment(struct dev_store *s, const char *key, const char *by)
{
	struct dev_variable *v = find(s, key);
	char sum[NUMBER_MAX_BYTES];
	int r = number_add(v ? (const char *)v->value.data : "0",
			   v ? v->value.len : 1, by, strlen(by), sum);

	if (r)
		return r == NUMBER_E_TYPE ? DEV_STORE_E_TYPE
					  : DEV_STORE_E_RANGE;
	return store(s, v, key, sum, strlen(sum));
}

int dev_store_delete(struct dev_store *s, const char *key, int64_t expect)
{
	struct dev_variable *v = find(s, key);
	struct dev_change *c;
	int r;

	if (!v)
		return DEV_STORE_E_NOT_FOUND;
	r = check_version(v, expect);
	if (r)
		return r;
	c = change_new(key, NULL);
	if (!c)
		return -ENOMEM;
	c->deleted = true;
	c->secret = v->secret;
	variable_free(s, v);
	change_add(s, c);
	return 0;
}
