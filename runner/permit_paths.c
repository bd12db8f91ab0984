#include "runner/permit_paths.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/landlock.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "runner/ca_file.h"
#include "runner/command.h"
#include "runner/elf_loader.h"
#include "runner/gate.h"
#include "runner/permit.h"
#include "runner/permit_shares.h"

/* The headers may be older than the kernel. */
#define PATHS_TRUNCATE (1ULL << 14)  /* ABI 3 */
#define PATHS_IOCTL_DEV (1ULL << 15) /* ABI 5 */
#define PATHS_SCOPES 3ULL            /* ABI 6: abstract sockets, signals */
#define PATHS_SCOPE_SOCKETS 1ULL

#define PATHS_EXECUTE LANDLOCK_ACCESS_FS_EXECUTE
#define PATHS_READ (LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR)
#define PATHS_WRITE                                                      \
	(LANDLOCK_ACCESS_FS_WRITE_FILE | LANDLOCK_ACCESS_FS_REMOVE_DIR | \
	 LANDLOCK_ACCESS_FS_REMOVE_FILE | LANDLOCK_ACCESS_FS_MAKE_CHAR | \
	 LANDLOCK_ACCESS_FS_MAKE_DIR | LANDLOCK_ACCESS_FS_MAKE_REG |     \
	 LANDLOCK_ACCESS_FS_MAKE_SOCK | LANDLOCK_ACCESS_FS_MAKE_FIFO |   \
	 LANDLOCK_ACCESS_FS_MAKE_BLOCK | LANDLOCK_ACCESS_FS_MAKE_SYM |   \
	 LANDLOCK_ACCESS_FS_REFER | PATHS_TRUNCATE | PATHS_IOCTL_DEV)
/* Rights that anything but a directory can have. */
#define PATHS_OF_FILES                                   \
	(PATHS_EXECUTE | LANDLOCK_ACCESS_FS_WRITE_FILE | \
	 LANDLOCK_ACCESS_FS_READ_FILE | PATHS_TRUNCATE | PATHS_IOCTL_DEV)

/* As of ABI 6; older kernels are told of less of it. */
struct paths_ruleset_attr {
	uint64_t fs, net, scoped;
};

struct paths {
	int fd;
	uint64_t handled;
	int gate_fd;
};

/* Read by every script. Links among them lead to others of them. No keys, no
 * accounts: what interpreters and the C library look up. */
static const char *const paths_dirs[] = {
	"/bin",
	"/etc/alternatives",
	"/etc/crypto-policies",
	"/etc/ld.so.conf.d",
	"/etc/pki/ca-trust",
	"/etc/pki/tls",
	"/etc/ssl/certs",
	"/lib",
	"/lib32",
	"/lib64",
	"/libx32",
	"/node_modules",
	"/opt/bin",
	"/opt/cronium",
	"/proc",
	"/sbin",
	"/sys/devices/system/cpu",
	"/sys/fs/cgroup",
	"/usr",
};

static const char *const paths_files[] = {
	"/dev/random",          "/dev/urandom",     "/etc/gai.conf",
	"/etc/group",           "/etc/host.conf",   "/etc/hostname",
	"/etc/hosts",           "/etc/ld.so.cache", "/etc/ld.so.conf",
	"/etc/ld.so.preload",   "/etc/localtime",   "/etc/mime.types",
	"/etc/nsswitch.conf",   "/etc/os-release",  "/etc/passwd",
	"/etc/protocols",       "/etc/resolv.conf", "/etc/services",
	"/etc/ssl/openssl.cnf", "/etc/timezone",
};

/* Written by every script, and nothing is ever kept there. */
static const char *const paths_sinks[] = {
	"/dev/full",
	"/dev/null",
	"/dev/tty",
	"/dev/zero",
};

/* What sdk/bash/cronium.sh starts. */
static const char *const paths_bash_programs[] = { "curl", "jq" };

static int paths_add_fd(const struct paths *s, int fd, uint64_t rights)
{
	const struct landlock_path_beneath_attr rule = {
		.allowed_access = rights,
		.parent_fd = fd,
	};

	return syscall(SYS_landlock_add_rule, s->fd, LANDLOCK_RULE_PATH_BENEATH,
		       &rule, 0) < 0
		       ? -errno
		       : 0;
}

/* The same of what may be no directory, which has some of them only. */
static int paths_add_any(const struct paths *s, int fd, uint64_t rights)
{
	struct stat st;

	if (fstat(fd, &st) < 0)
		return -errno;
	if (!S_ISDIR(st.st_mode))
		rights &= PATHS_OF_FILES;
	return rights ? paths_add_fd(s, fd, rights) : 0;
}

/* Adds the rights to path and all below it. 0, or negative errno where it is
 * not there or out of the user's reach. */
static int paths_add(const struct paths *s, const char *path, int flags,
		     uint64_t rights)
{
	_cleanup_close_ int fd = -1;

	if (!rights)
		return 0;
	fd = open(path, O_PATH | O_CLOEXEC | flags);
	if (fd < 0)
		return -errno;
	return flags & O_DIRECTORY ? paths_add_fd(s, fd, rights)
				   : paths_add_any(s, fd, rights);
}

static int paths_allow(const struct paths *s, const char *path, uint64_t rights)
{
	return paths_add(s, path, 0, rights & s->handled);
}

static void paths_allow_defaults(const struct paths *s)
{
	uint64_t read = s->handled & PATHS_READ;
	uint64_t file = s->handled & PATHS_OF_FILES;

	for (size_t i = 0; read && i < ARRAY_SIZE(paths_dirs); i++)
		(void)paths_add(s, paths_dirs[i], O_DIRECTORY | O_NOFOLLOW,
				read);
	for (size_t i = 0; read && i < ARRAY_SIZE(paths_files); i++)
		(void)paths_add(s, paths_files[i], 0, file & PATHS_READ);
	for (size_t i = 0; i < ARRAY_SIZE(paths_sinks); i++)
		(void)paths_add(s, paths_sinks[i], 0,
				file & (PATHS_READ | PATHS_WRITE));
}

/* Of PREFIX/bin/python3 also PREFIX/lib, unless the defaults have it. */
static void paths_allow_prefix(const struct paths *s, const char *program)
{
	const char *slash = strrchr(program, '/');
	char path[PATH_MAX];
	size_t len = slash ? (size_t)(slash - program) : 0;

	if (!strncmp(program, "/usr/", 5) || len <= 4 ||
	    strncmp(slash - 4, "/bin", 4))
		return;
	len -= 4;
	snprintf(path, sizeof(path), "%.*s/lib", (int)len, program);
	(void)paths_allow(s, path, PATHS_READ);
	/* Python's virtual environments. */
	snprintf(path, sizeof(path), "%.*s/pyvenv.cfg", (int)len, program);
	(void)paths_allow(s, path, PATHS_READ);
}

static void paths_allow_program(const struct paths *s, const char *program)
{
	char real[PATH_MAX];

	(void)paths_allow(s, program, PATHS_READ | PATHS_EXECUTE);
	paths_allow_prefix(s, program);
	if (readlink(program, real, sizeof(real)) > 0 &&
	    realpath(program, real))
		paths_allow_prefix(s, real);
	if (s->handled & PATHS_EXECUTE && !elf_loader_find(program, real))
		(void)paths_allow(s, real, PATHS_READ | PATHS_EXECUTE);
}

static void paths_tell_missing(const struct paths *s, const char *flag,
			       const char *path, int error)
{
	char text[GATE_TEXT_BYTES];

	if (error == ENOENT)
		snprintf(text, sizeof(text),
			 "%s=%s: there is no %s where the script runs", flag,
			 path, path);
	else
		snprintf(text, sizeof(text), "%s=%s: %s", flag, path,
			 strerror(error));
	gate_tell(s->gate_fd, text);
}

/* Of a capability: what the path leads to, where that lies in a share; to be
 * written only where the share may be. */
static int paths_allow_shared(const struct paths *s, const json_t *shares,
			      const char *path, uint64_t rights)
{
	_cleanup_close_ int fd = -1;
	bool write = false;

	fd = permit_share_open(shares, path, &write);
	if (fd < 0)
		return fd;
	rights &= s->handled & (write ? ~0ULL : ~PATHS_WRITE);
	return rights ? paths_add_any(s, fd, rights) : 0;
}

/* An item of a list of permissions. */
static int paths_allow_item(const struct paths *s, const struct permit *p,
			    const char *work_dir, const char *path,
			    uint64_t rights)
{
	if (p->shares && !strcmp(path, "."))
		return paths_allow(s, work_dir, rights);
	if (*path != '/')
		return -EINVAL;
	if (p->shares)
		return paths_allow_shared(s, p->shares, path, rights);
	return paths_allow(s, path, rights);
}

static void paths_allow_list(const struct paths *s, const struct permit *p,
			     const char *work_dir, const json_t *list,
			     const char *flag, uint64_t rights)
{
	const json_t *item;
	size_t i;

	json_array_foreach(list, i, item) {
		const char *path = json_string_value(item);
		int r = paths_allow_item(s, p, work_dir, path, rights);

		/* A capability's program says it better. */
		if (r < 0 && !p->shares)
			paths_tell_missing(s, flag, path, -r);
	}
}

/* The SDKs read it to call a gateway with a certificate of one's own. */
static void paths_allow_ca_file(const struct paths *s, const char *path)
{
	uint64_t rights = s->handled & LANDLOCK_ACCESS_FS_READ_FILE;
	char text[GATE_TEXT_BYTES];
	_cleanup_close_ int fd = -1;

	if (!path || !*path || !rights)
		return;
	fd = ca_file_open(path);
	if (fd >= 0 && !paths_add_fd(s, fd, rights))
		return;
	snprintf(text, sizeof(text),
		 "CRONIUM_CA_FILE=%s: there are no certificates in PEM to be "
		 "read where the script runs",
		 path);
	gate_tell(s->gate_fd, text);
}

/* The programs of Bash's SDK. */
static void paths_allow_bash(const struct paths *s, const char *path,
			     struct gate_programs *programs)
{
	char program[PATH_MAX];
	struct stat st;

	for (size_t i = 0; i < ARRAY_SIZE(paths_bash_programs); i++) {
		if (command_find(paths_bash_programs[i], path, program) ||
		    stat(program, &st) < 0)
			continue;
		paths_allow_program(s, program);
		programs->items[programs->n++] =
			(struct gate_program){ st.st_dev, st.st_ino };
	}
}

/* What is to be held, by a kernel that knows this version of Landlock. */
static struct paths_ruleset_attr paths_handled(const struct permit *p, long abi)
{
	struct paths_ruleset_attr attr = { 0 };

	if (!permit_is_all(p->read))
		attr.fs |= PATHS_READ;
	if (!permit_is_all(p->write))
		attr.fs |= PATHS_WRITE;
	if (!p->run && p->bash)
		attr.fs |= PATHS_EXECUTE;
	if (!attr.fs)
		return attr;
	/* What is not handled is granted, but this. */
	attr.fs |= LANDLOCK_ACCESS_FS_REFER;
	if (abi < 2)
		attr.fs &= ~(uint64_t)LANDLOCK_ACCESS_FS_REFER;
	if (abi < 3)
		attr.fs &= ~PATHS_TRUNCATE;
	if (abi < 5)
		attr.fs &= ~PATHS_IOCTL_DEV;
	if (abi >= 6)
		attr.scoped = p->signals ? PATHS_SCOPE_SOCKETS : PATHS_SCOPES;
	return attr;
}

static size_t paths_attr_size(long abi)
{
	if (abi >= 6)
		return sizeof(struct paths_ruleset_attr);
	return abi >= 4 ? offsetof(struct paths_ruleset_attr, scoped)
			: offsetof(struct paths_ruleset_attr, net);
}

int permit_paths_apply(const struct permit *p, const struct permit_place *place,
		       struct gate_programs *programs)
{
	struct paths s = { .fd = -1, .gate_fd = place->gate_fd };
	_cleanup_close_ int ruleset = -1;
	struct paths_ruleset_attr attr;
	long abi;

	if (!paths_handled(p, 1).fs)
		return 0;
	abi = syscall(SYS_landlock_create_ruleset, NULL, 0,
		      LANDLOCK_CREATE_RULESET_VERSION);
	if (abi < 0)
		return -errno;
	attr = paths_handled(p, abi);
	ruleset = (int)syscall(SYS_landlock_create_ruleset, &attr,
			       paths_attr_size(abi), 0);
	if (ruleset < 0)
		return -errno;
	s.fd = ruleset;
	s.handled = attr.fs;
	paths_allow_defaults(&s);
	paths_allow_program(&s, place->program);
	(void)paths_allow(&s, place->work_dir, PATHS_READ);
	paths_allow_ca_file(&s, place->ca_file);
	paths_allow_list(&s, p, place->work_dir, p->read, "--allow-read",
			 PATHS_READ);
	paths_allow_list(&s, p, place->work_dir, p->write, "--allow-write",
			 PATHS_WRITE);
	if (permit_is_all(p->write))
		(void)paths_allow(&s, "/", LANDLOCK_ACCESS_FS_REFER);
	if (s.handled & PATHS_EXECUTE)
		paths_allow_bash(&s, place->path, programs);
	if (syscall(SYS_landlock_restrict_self, s.fd, 0) < 0)
		return -errno;
	return 0;
}
