#include "orchestrator/sandbox_args.h"

#include <errno.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "common/path.h"
#include "orchestrator/sandbox_files.h"
#include "orchestrator/shares.h"

/* What a cgroup limits further; without one, at most the job's memory. */
#define SANDBOX_ARGS_TMPFS_BYTES (1ULL << 30)
#define SANDBOX_ARGS_SHM_BYTES (256ULL << 20)

/* Of the host's /etc what programs need to be found and to trust servers. */
static const char *const sandbox_args_etc[] = {
	"/etc/alternatives",
	"/etc/crypto-policies",
	"/etc/pki/tls",
	"/etc/ssl/certs",
};

/* Top directories that are links into /usr on one host, real on another. */
static const char *const sandbox_args_top[] = {
	"/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32",
};

static void sandbox_args_add(struct sandbox_args *a, const char *item)
{
	if (a->n + 1 >= SANDBOX_ARGS_MAX)
		a->full = true;
	else
		a->items[a->n++] = item;
}

static void sandbox_args_add_all(struct sandbox_args *a, ...)
{
	const char *item;
	va_list ap;

	va_start(ap, a);
	while ((item = va_arg(ap, const char *)))
		sandbox_args_add(a, item);
	va_end(ap);
}

PRINTF_LIKE(2, 3)
static void sandbox_args_add_text(struct sandbox_args *a, const char *fmt, ...)
{
	size_t room = sizeof(a->text) - a->text_len;
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(a->text + a->text_len, room, fmt, ap);
	va_end(ap);
	if (n < 0 || (size_t)n >= room) {
		a->full = true;
		return;
	}
	sandbox_args_add(a, a->text + a->text_len);
	a->text_len += (size_t)n + 1;
}

static void sandbox_args_add_namespaces(struct sandbox_args *a,
					const struct sandbox_args_spec *spec)
{
	if (!spec->processes)
		sandbox_args_add_all(a, "--unshare-pid", "--as-pid-1", NULL);
	sandbox_args_add_all(a, "--unshare-ipc", "--unshare-uts",
			     "--unshare-cgroup-try", "--hostname", "cronium",
			     "--new-session", "--cap-drop", "ALL", NULL);
	/* What the runner needs to become the script's user and to end it. */
	if (spec->root)
		sandbox_args_add_all(a, "--cap-add", "CAP_SETUID", "--cap-add",
				     "CAP_SETGID", "--cap-add", "CAP_KILL",
				     NULL);
	else
		sandbox_args_add(a, "--unshare-user");
}

static void sandbox_args_add_top(struct sandbox_args *a, const char *path)
{
	char target[128];
	ssize_t n = readlink(path, target, sizeof(target) - 1);

	if (n > 0) {
		target[n] = '\0';
		sandbox_args_add(a, "--symlink");
		sandbox_args_add_text(a, "%s", target);
		sandbox_args_add(a, path);
	} else if (access(path, F_OK) == 0) {
		sandbox_args_add_all(a, "--ro-bind", path, path, NULL);
	}
}

static void sandbox_args_add_etc(struct sandbox_args *a)
{
	const char *name;

	for (size_t i = 0; i < ARRAY_SIZE(sandbox_args_etc); i++) {
		const char *path = sandbox_args_etc[i];

		if (access(path, F_OK) == 0)
			sandbox_args_add_all(a, "--ro-bind", path, path, NULL);
	}
	for (size_t i = 0; (name = sandbox_files_etc_name(i)); i++) {
		sandbox_args_add(a, "--symlink");
		sandbox_args_add_text(a, "/opt/cronium/etc/%s", name);
		sandbox_args_add_text(a, "/etc/%s", name);
	}
}

static void sandbox_args_add_tmpfs(struct sandbox_args *a, const char *path,
				   uint64_t bytes,
				   const struct sandbox_args_spec *spec)
{
	if (spec->memory_bytes)
		bytes = MIN(bytes, spec->memory_bytes);
	sandbox_args_add_all(a, "--perms", "1777", "--size", NULL);
	sandbox_args_add_text(a, "%llu", (unsigned long long)bytes);
	sandbox_args_add_all(a, "--tmpfs", path, NULL);
}

/* bwrap makes what leads to a mount private to root. */
static void sandbox_args_add_dirs(struct sandbox_args *a)
{
	static const char *const dirs[] = {
		"/etc", "/etc/pki", "/etc/ssl", "/node_modules", "/opt", "/var",
	};

	for (size_t i = 0; i < ARRAY_SIZE(dirs); i++)
		sandbox_args_add_all(a, "--perms", "0755", "--dir", dirs[i],
				     NULL);
}

static void sandbox_args_add_program(struct sandbox_args *a,
				     const struct sandbox_args_spec *spec)
{
	sandbox_args_add_all(a, "--perms", "0755", "--dir",
			     SANDBOX_ARGS_BIN_DIR, "--ro-bind", spec->program,
			     NULL);
	sandbox_args_add_text(a, SANDBOX_ARGS_BIN_DIR "/%s",
			      spec->program_name);
}

/* What leads to a share, unless the one before it has made that. */
static void sandbox_args_add_parents(struct sandbox_args *a, const char *path,
				     const char *before)
{
	char parent[PATH_MAX];

	snprintf(parent, sizeof(parent), "%s", path);
	for (char *slash = strchr(parent + 1, '/'); slash;
	     slash = strchr(slash + 1, '/')) {
		*slash = '\0';
		if (!before || !path_covers(parent, before)) {
			sandbox_args_add_all(a, "--perms", "0755", "--dir",
					     NULL);
			sandbox_args_add_text(a, "%s", parent);
		}
		*slash = '/';
	}
}

/* At their own paths, over whatever the sandbox has there; bwrap mounts in
 * their order. */
static void sandbox_args_add_shares(struct sandbox_args *a,
				    const struct shares *shares)
{
	const char *before = NULL;

	for (size_t i = 0; shares && i < shares->n; i++) {
		const struct share *share = &shares->items[i];

		if (!share_is_for(share, NULL))
			continue;
		sandbox_args_add_parents(a, share->path, before);
		sandbox_args_add_all(a, share->write ? "--bind" : "--ro-bind",
				     share->path, share->path, NULL);
		before = share->path;
	}
}

static void sandbox_args_add_files(struct sandbox_args *a,
				   const struct sandbox_args_spec *spec)
{
	sandbox_args_add_dirs(a);
	sandbox_args_add_all(a, "--ro-bind", "/usr", "/usr", NULL);
	for (size_t i = 0; i < ARRAY_SIZE(sandbox_args_top); i++)
		sandbox_args_add_top(a, sandbox_args_top[i]);
	sandbox_args_add(a, "--ro-bind");
	sandbox_args_add_text(a, "%s/%s", spec->run_dir, SANDBOX_FILES_DIR);
	sandbox_args_add(a, "/opt/cronium");
	if (spec->sdk_dir)
		sandbox_args_add_all(a, "--ro-bind", spec->sdk_dir,
				     "/opt/cronium/sdk", "--symlink",
				     "/opt/cronium/sdk/node",
				     "/node_modules/cronium", NULL);
	if (spec->program)
		sandbox_args_add_program(a, spec);
	sandbox_args_add_etc(a);
	sandbox_args_add_all(a, "--proc", "/proc", "--dev", "/dev", NULL);
	sandbox_args_add_tmpfs(a, "/dev/shm", SANDBOX_ARGS_SHM_BYTES, spec);
	sandbox_args_add_tmpfs(a, "/tmp", SANDBOX_ARGS_TMPFS_BYTES, spec);
	sandbox_args_add_tmpfs(a, "/work", SANDBOX_ARGS_TMPFS_BYTES, spec);
	sandbox_args_add_all(a, "--symlink", "/tmp", "/var/tmp", NULL);
	sandbox_args_add_shares(a, spec->shares);
	sandbox_args_add_all(a, "--remount-ro", "/dev", "--remount-ro", "/",
			     "--chdir", "/", NULL);
}

static void sandbox_args_add_runner(struct sandbox_args *a,
				    const struct sandbox_args_spec *spec)
{
	sandbox_args_add(a, "--seccomp");
	sandbox_args_add_text(a, "%d", SANDBOX_ARGS_SECCOMP_FD);
	sandbox_args_add_all(a, "--", "/opt/cronium/" SANDBOX_FILES_RUNNER,
			     "--control", NULL);
	sandbox_args_add_text(a, "fd:%d", SANDBOX_ARGS_CONTROL_FD);
	sandbox_args_add(a, "--again");
	sandbox_args_add_text(a, "dir:%d", SANDBOX_ARGS_AGAIN_FD);
	if (spec->payload_key[0])
		sandbox_args_add_all(a, "--key", spec->payload_key, NULL);
	if (spec->memory_bytes) {
		sandbox_args_add(a, "--limit-memory");
		sandbox_args_add_text(a, "%llu",
				      (unsigned long long)spec->memory_bytes);
	}
	if (spec->pids) {
		sandbox_args_add(a, "--limit-processes");
		sandbox_args_add_text(a, "%u", spec->pids);
	}
}

int sandbox_args_init(struct sandbox_args *a,
		      const struct sandbox_args_spec *spec)
{
	a->n = a->text_len = 0;
	a->full = false;
	sandbox_args_add(a, "bwrap");
	sandbox_args_add_namespaces(a, spec);
	sandbox_args_add_files(a, spec);
	sandbox_args_add_runner(a, spec);
	a->items[a->n] = NULL;
	return a->full ? -E2BIG : 0;
}
