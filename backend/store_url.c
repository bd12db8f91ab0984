#include "backend/store_url.h"

#include <errno.h>
#include <libpq-fe.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define URL_SQLITE "sqlite:"
#define URL_SQLITE_FILE "cronium.db"
#define URL_SCHEMA "schema="
#define URL_SCHEMA_LETTERS "abcdefghijklmnopqrstuvwxyz0123456789_"

static bool url_is_postgres(const char *url)
{
	return !strncmp(url, "postgresql://", 13) ||
	       !strncmp(url, "postgres://", 11);
}

/* Of names that need no quotes. */
static int url_take_schema(struct store_url *out, const char *s, size_t len)
{
	if (!len || len >= sizeof(out->schema) ||
	    strspn(s, URL_SCHEMA_LETTERS) < len)
		return -EINVAL;
	memcpy(out->schema, s, len);
	out->schema[len] = '\0';
	return 0;
}

/* Copies the URL without the parameter schema. */
static int url_split(struct store_url *out, const char *url)
{
	size_t len = strcspn(url, "?");
	const char *at = url + len;
	char separator = '?';
	int r = 0;

	out->where = calloc(1, strlen(url) + 1);
	if (!out->where)
		return -ENOMEM;
	memcpy(out->where, url, len);
	while (r == 0 && *at) {
		const char *item = ++at;
		size_t n = strcspn(item, "&");

		at += n;
		if (!strncmp(item, URL_SCHEMA, strlen(URL_SCHEMA))) {
			r = url_take_schema(out, item + strlen(URL_SCHEMA),
					    n - strlen(URL_SCHEMA));
		} else {
			out->where[len++] = separator;
			memcpy(out->where + len, item, n);
			len += n;
			separator = '&';
		}
	}
	return r;
}

static const char *url_option(const PQconninfoOption *options, const char *name)
{
	for (; options->keyword; options++)
		if (!strcmp(options->keyword, name))
			return options->val ? options->val : "";
	return "";
}

/* postgresql://USER@HOST:PORT/DATABASE of what was given. */
static int url_describe(struct store_url *out, const PQconninfoOption *options)
{
	const char *user = url_option(options, "user");
	const char *host = url_option(options, "host");
	const char *port = url_option(options, "port");

	if (!*host)
		host = url_option(options, "hostaddr");
	if (asprintf(&out->name, "postgresql://%s%s%s%s%s/%s%s%s", user,
		     *user ? "@" : "", host, *port ? ":" : "", port,
		     url_option(options, "dbname"),
		     *out->schema ? "?" URL_SCHEMA : "", out->schema) < 0) {
		out->name = NULL;
		return -ENOMEM;
	}
	return 0;
}

/* What libpq says about a URL may quote its password. */
static int url_parse_postgres(struct store_url *out, const char *url)
{
	PQconninfoOption *options;
	int r = url_split(out, url);

	out->kind = STORE_POSTGRES;
	if (r < 0)
		return r;
	options = PQconninfoParse(out->where, NULL);
	if (!options)
		return -EINVAL;
	r = url_describe(out, options);
	PQconninfoFree(options);
	return r;
}

static int url_parse_sqlite(struct store_url *out, const char *path)
{
	out->kind = STORE_SQLITE;
	if (!*path)
		return -EINVAL;
	out->where = strdup(path);
	out->name = strdup(path);
	return out->where && out->name ? 0 : -ENOMEM;
}

static int url_parse_default(struct store_url *out, const char *data_dir)
{
	char *path = NULL;
	int r = -ENOMEM;

	if (asprintf(&path, "%s/" URL_SQLITE_FILE, data_dir) >= 0) {
		r = url_parse_sqlite(out, path);
		free(path);
	}
	return r;
}

int store_url_parse(struct store_url *out, const char *url,
		    const char *data_dir, char *err, size_t err_size)
{
	int r = -EINVAL;

	*out = (struct store_url){ 0 };
	if (!url || !*url)
		r = url_parse_default(out, data_dir);
	else if (!strncmp(url, URL_SQLITE, strlen(URL_SQLITE)))
		r = url_parse_sqlite(out, url + strlen(URL_SQLITE));
	else if (url_is_postgres(url))
		r = url_parse_postgres(out, url);
	if (r == -EINVAL)
		snprintf(err, err_size,
			 "the store's URL is not valid: it is sqlite:PATH, or "
			 "postgresql://USER@HOST:PORT/DATABASE with the "
			 "parameters of libpq and schema=NAME (small letters, "
			 "digits and _)");
	else if (r < 0)
		snprintf(err, err_size, "out of memory");
	if (r < 0)
		store_url_deinit(out);
	return r;
}

void store_url_deinit(struct store_url *url)
{
	if (url->where)
		explicit_bzero(url->where, strlen(url->where));
	free(url->where);
	free(url->name);
	*url = (struct store_url){ 0 };
}
