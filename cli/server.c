#include "cli/server.h"

#include <ctype.h>
#include <errno.h>
#include <pwd.h>
#include <stdio.h>
#include <string.h>

#include "cli/command.h"
#include "cli/local.h"
#include "cli/output.h"
#include "common/unix_socket.h"

#define SERVER_JOIN_TRIES 5
#define SERVER_CONFIG_LINE_BYTES 4096

static char *server_env(const char *name)
{
	const char *value = getenv(name);

	return value && *value ? strdup(value) : NULL;
}

static void server_set(char **field, const char *value)
{
	free(*field);
	*field = strdup(value);
}

/* --- configuration ------------------------------------------------------- */

static int server_config_path(char *out, size_t size)
{
	const char *xdg = getenv("XDG_CONFIG_HOME"), *home = getenv("HOME");
	int n;

	if (xdg && *xdg)
		n = snprintf(out, size, "%s/cronium/config", xdg);
	else if (home && *home)
		n = snprintf(out, size, "%s/.config/cronium/config", home);
	else
		return -ENOENT;
	return n < 0 || (size_t)n >= size ? -ENAMETOOLONG : 0;
}

static char *server_trim(char *s)
{
	char *end = s + strlen(s);

	while (end > s && isspace((unsigned char)end[-1]))
		*--end = '\0';
	return s + strspn(s, " \t");
}

/* KEY = VALUE; what it does not know it says. */
static void server_config_line(struct server *s, const char *path, int number,
			       char *line)
{
	char *key = server_trim(line), *value = strchr(key, '=');

	if (!*key || *key == '#')
		return;
	if (value) {
		*value++ = '\0';
		key = server_trim(key);
		value = server_trim(value);
		if (!strcmp(key, "url")) {
			server_set(&s->url, value);
			return;
		}
		if (!strcmp(key, "api_key")) {
			server_set(&s->api_key, value);
			return;
		}
		if (!strcmp(key, "ca_file")) {
			server_set(&s->ca_file, value);
			return;
		}
	}
	output_warn("%s:%d: '%s' is not understood; url, api_key and ca_file "
		    "are",
		    path, number, key);
}

static void server_read_config(struct server *s)
{
	char path[PATH_MAX], line[SERVER_CONFIG_LINE_BYTES];
	int number = 0;
	FILE *f;

	if (server_config_path(path, sizeof(path)) < 0)
		return;
	f = fopen(path, "re");
	if (!f)
		return;
	while (fgets(line, sizeof(line), f))
		server_config_line(s, path, ++number, line);
	fclose(f);
}

bool server_configured(struct server *out, const struct cli_globals *globals)
{
	char *key = server_env("CRONIUM_API_KEY");

	*out = (struct server){ .hold.fd = -1 };
	if (globals->server)
		out->url = strdup(globals->server);
	else
		out->url = server_env("CRONIUM_URL");
	if (!out->url)
		server_read_config(out);
	if (key) {
		free(out->api_key);
		out->api_key = key;
	}
	if (!out->ca_file)
		out->ca_file = server_env("CRONIUM_CA_FILE");
	return out->url;
}

/* --- local --------------------------------------------------------------- */

static bool server_answers(const char *dir, char *path, size_t size)
{
	_cleanup_close_ int fd = -1;
	struct sockaddr_un addr;

	if (unix_socket_address_in(&addr, dir, "api.sock") < 0)
		return false;
	snprintf(path, size, "%s", addr.sun_path);
	fd = unix_socket_connect(&addr, 0);
	return fd >= 0;
}

static int server_use(struct server *s, const char *dir)
{
	/* Peer credentials say who we are: a key would only be in the way. */
	free(s->api_key);
	s->api_key = NULL;
	if (asprintf(&s->url, "unix:%s/api.sock", dir) < 0)
		return -ENOMEM;
	return 0;
}

static int server_find_local(struct server *s)
{
	char path[PATH_MAX];
	int r = LOCAL_E_GONE;

	for (int i = 0; i < SERVER_JOIN_TRIES && r == LOCAL_E_GONE; i++) {
		r = local_join(&s->place, &s->hold);
		if (r == -EACCES)
			output_error("%s/up.sock belongs to somebody else; "
				     "choose another --run-dir",
				     s->place.run);
		if (r != LOCAL_E_NONE)
			continue;
		/* A backend without `cronium up` around it. */
		if (!local_up_lives(&s->place) &&
		    server_answers(s->place.run, path, sizeof(path)))
			return server_use(s, s->place.run);
		if (!geteuid() &&
		    server_answers(PLACE_SERVICE_RUN, path, sizeof(path)))
			return server_use(s, PLACE_SERVICE_RUN);
		r = local_start(&s->place, &s->hold);
	}
	if (!r)
		return server_use(s, s->place.run);
	if (r == -ETIMEDOUT)
		output_error("the local server did not come up in %d s; its "
			     "log is %s/log/embedded.log",
			     LOCAL_START_TIMEOUT_MS / 1000, s->place.data);
	else if (r != LOCAL_E_FAILED && r != -EACCES)
		output_error("the local server cannot be reached under %s",
			     s->place.run);
	return r < 0 ? r : -ECONNREFUSED;
}

int server_open(struct server *out, const struct cli_globals *globals)
{
	int r;

	if (server_configured(out, globals))
		return 0;
	r = place_find(&out->place, globals);
	if (!r)
		r = server_find_local(out);
	if (r < 0)
		server_close(out);
	return r;
}

void server_close(struct server *s)
{
	if (s->api_key)
		explicit_bzero(s->api_key, strlen(s->api_key));
	free(s->url);
	free(s->api_key);
	free(s->ca_file);
	if (s->hold.fd >= 0)
		close(s->hold.fd);
	*s = (struct server){ .hold.fd = -1 };
}

void server_attach(const struct server *s, const char *job)
{
	if (s->hold.fd >= 0)
		dprintf(s->hold.fd, "attach %s\n", job);
}

void server_detach(const struct server *s, const char *job)
{
	if (s->hold.fd >= 0)
		dprintf(s->hold.fd, "detach %s\n", job);
}
