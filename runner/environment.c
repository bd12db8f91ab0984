#include "runner/environment.h"

#include <stdio.h>
#include <string.h>

#define ENVIRONMENT_OWN 4 /* PATH, LANG, HOME, PWD */

struct environment {
	char **items; /* room for all of them and the NULL */
	size_t n;
};

void environment_free(char **env)
{
	if (!env)
		return;
	for (size_t i = 0; env[i]; i++)
		free(env[i]);
	free(env);
}

/* The index of KEY's item; e->n when there is none. */
static size_t environment_find(const struct environment *e, const char *key)
{
	size_t key_len = strlen(key), i;

	for (i = 0; i < e->n; i++) {
		if (!strncmp(e->items[i], key, key_len) &&
		    e->items[i][key_len] == '=')
			break;
	}
	return i;
}

/* Sets KEY=VALUE, over an earlier one of the same key. */
static int environment_set(struct environment *e, const char *key,
			   const char *value)
{
	size_t i = environment_find(e, key);
	char *item;

	if (asprintf(&item, "%s=%s", key, value) < 0)
		return -1;
	if (i == e->n)
		e->n++;
	free(e->items[i]);
	e->items[i] = item;
	return 0;
}

static int environment_set_default(struct environment *e, const char *key,
				   const char *value)
{
	if (environment_find(e, key) < e->n)
		return 0;
	return environment_set(e, key, value);
}

static int environment_copy_own(struct environment *e)
{
	for (char **own = environ; *own; own++) {
		e->items[e->n] = strdup(*own);
		if (!e->items[e->n])
			return -1;
		e->n++;
	}
	return 0;
}

static int environment_fill(struct environment *e, const struct assignment *a,
			    bool keep_own)
{
	const char *key;
	json_t *value;

	if (keep_own && environment_copy_own(e) < 0)
		return -1;
	/* An image may have a PATH and a language of its own. */
	if (environment_set_default(e, "PATH", ENVIRONMENT_PATH) < 0 ||
	    environment_set_default(e, "LANG", "C.UTF-8") < 0 ||
	    environment_set(e, "HOME", a->work_dir) < 0 ||
	    environment_set(e, "PWD", a->work_dir) < 0)
		return -1;
	json_object_foreach((json_t *)a->env, key, value) {
		if (environment_set(e, key, json_string_value(value)) < 0)
			return -1;
	}
	return 0;
}

char **environment_new(const struct assignment *a, bool keep_own)
{
	struct environment e = { 0 };
	size_t own = 0;

	while (environ[own])
		own++;
	e.items = calloc(own + json_object_size(a->env) + ENVIRONMENT_OWN + 1,
			 sizeof(*e.items));
	if (!e.items)
		return NULL;
	if (environment_fill(&e, a, keep_own) < 0) {
		environment_free(e.items);
		return NULL;
	}
	return e.items;
}
