#include "cli/place.h"

#include <errno.h>
#include <pwd.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "cli/command.h"
#include "cli/output.h"
#include "common/file.h"
#include "common/unix_socket.h"

static const char *place_env(const char *name)
{
	const char *value = getenv(name);

	return value && *value ? value : NULL;
}

static const char *place_home(void)
{
	const struct passwd *pw;

	if (place_env("HOME"))
		return getenv("HOME");
	pw = getpwuid(getuid());
	return pw && pw->pw_dir ? pw->pw_dir : "/";
}

/* out = dir/rest, absolute. */
static int place_join(char *out, size_t size, const char *dir, const char *rest)
{
	char cwd[PATH_MAX] = "";
	int n;

	if (dir[0] != '/' && !getcwd(cwd, sizeof(cwd)))
		return -errno;
	n = snprintf(out, size, "%s%s%s%s", cwd, *cwd ? "/" : "", dir, rest);
	return n < 0 || (size_t)n >= size ? -ENAMETOOLONG : 0;
}

static int place_find_data(struct place *out, const char *option)
{
	size_t size = sizeof(out->data);

	if (option)
		return place_join(out->data, size, option, "");
	if (place_env("CRONIUM_DATA_DIR"))
		return place_join(out->data, size, getenv("CRONIUM_DATA_DIR"),
				  "");
	if (place_env("XDG_DATA_HOME"))
		return place_join(out->data, size, getenv("XDG_DATA_HOME"),
				  "/cronium");
	return place_join(out->data, size, place_home(),
			  "/.local/share/cronium");
}

static int place_find_run(struct place *out, const char *option,
			  bool default_data)
{
	size_t size = sizeof(out->run);

	if (option)
		return place_join(out->run, size, option, "");
	if (place_env("CRONIUM_RUN_DIR"))
		return place_join(out->run, size, getenv("CRONIUM_RUN_DIR"),
				  "");
	if (default_data && place_env("XDG_RUNTIME_DIR"))
		return place_join(out->run, size, getenv("XDG_RUNTIME_DIR"),
				  "/cronium");
	return place_join(out->run, size, out->data, "/run");
}

int place_find(struct place *out, const struct cli_globals *globals)
{
	bool default_data = !globals->data_dir &&
			    !place_env("CRONIUM_DATA_DIR");
	struct sockaddr_un longest;
	int r = place_find_data(out, globals->data_dir);

	if (!r)
		r = place_find_run(out, globals->run_dir, default_data);
	if (!r)
		r = unix_socket_address_in(&longest, out->run,
					   "runtime/backend.sock");
	if (r == -ENAMETOOLONG)
		output_error("the directory %s is too long for sockets in it; "
			     "give a shorter one with --run-dir",
			     out->run);
	else if (r < 0)
		output_error("cannot find the data directory: %s",
			     strerror(-r));
	return r < 0 ? -EINVAL : 0;
}

static int place_make_dir(const char *dir)
{
	int r = file_make_dirs(dir, 0700);

	if (r < 0)
		output_error("cannot make the directory %s: %s; choose another "
			     "with --data-dir and --run-dir",
			     dir, strerror(-r));
	return r;
}

int place_make(const struct place *p)
{
	char log[PATH_MAX + 8];
	int r;

	snprintf(log, sizeof(log), "%s/log", p->data);
	r = place_make_dir(log);
	return r < 0 ? r : place_make_dir(p->run);
}

int place_make_gateway(const struct place *p)
{
	char dir[PATH_MAX + 16];
	int r;

	snprintf(dir, sizeof(dir), "%s/gateway", p->run);
	r = place_make_dir(dir);
	if (!r && chmod(dir, 0700) < 0) {
		r = -errno;
		output_error("cannot keep others out of %s: %s", dir,
			     strerror(-r));
	}
	return r;
}

static int place_try(const char *dir, int dir_len, const char *name, char *out,
		     size_t size)
{
	int n = snprintf(out, size, "%.*s/%s", dir_len, dir, name);

	if (n < 0 || (size_t)n >= size)
		return -ENAMETOOLONG;
	return access(out, X_OK) < 0 ? -errno : 0;
}

int place_program(const char *name, char *out, size_t size)
{
	const char *path = getenv("PATH");
	char self[PATH_MAX], libexec[PATH_MAX + 32];
	ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);

	self[MAX(n, 0)] = '\0';
	if (strrchr(self, '/')) {
		*strrchr(self, '/') = '\0';
		snprintf(libexec, sizeof(libexec), "%s/../libexec/cronium",
			 self);
		if (!place_try(self, (int)strlen(self), name, out, size) ||
		    !place_try(libexec, (int)strlen(libexec), name, out, size))
			return 0;
	}
	while (path && *path) {
		size_t len = strcspn(path, ":");

		if (len && !place_try(path, (int)len, name, out, size))
			return 0;
		path += len + (path[len] == ':');
	}
	return -ENOENT;
}
