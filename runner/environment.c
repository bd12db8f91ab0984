#include "runner/environment.h"

#include <stdio.h>
#include <string.h>

#include "common/runtime_config.h"

#define ENVIRONMENT_OWN 4 /* PATH, LANG, HOME, PWD */
#define ENVIRONMENT_KEY_BYTES 256

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

/* What of our own environment needs no permission, where it is the pod's. */
static bool environment_is_harmless(const char *key)
{
	return !strcmp(key, "PATH") || !strcmp(key, "LANG") ||
	       !strcmp(key, "TZ");
}

static bool environment_is_granted(const struct assignment *a, bool of_pod,
				   const char *key)
{
	const json_t *granted = a->permit.env;

	if (of_pod && environment_is_harmless(key))
		return true;
	if (!permit_is_all(granted) && !permit_has(granted, key))
		return false;
	return !runtime_config_env_refused(key);
}

static int environment_copy_own(struct environment *e,
				const struct assignment *a, bool of_pod)
{
	for (char **own = environ; *own; own++) {
		size_t len = strcspn(*own, "=");
		char key[ENVIRONMENT_KEY_BYTES];

		if (!(*own)[len] || len >= sizeof(key))
			continue;
		snprintf(key, sizeof(key), "%.*s", (int)len, *own);
		if (!environment_is_granted(a, of_pod, key))
			continue;
		e->items[e->n] = strdup(*own);
		if (!e->items[e->n])
			return -1;
		e->n++;
	}
	return 0;
}

static int environment_fill(struct environment *e, const struct assignment *a,
			    bool of_pod)
{
	const char *key;
	json_t *value;

	if (environment_copy_own(e, a, of_pod) < 0)
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

char **environment_new(const struct assignment *a, bool of_pod)
{
	struct environment e = { 0 };
	size_t own = 0;

	while (environ[own])
		own++;
	e.items = calloc(own + json_object_size(a->env) + ENVIRONMENT_OWN + 1,
			 sizeof(*e.items));
	if (!e.items)
		return NULL;
	if (environment_fill(&e, a, of_pod) < 0) {
		environment_free(e.items);
		return NULL;
	}
	return e.items;
}
