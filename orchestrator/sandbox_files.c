#include "orchestrator/sandbox_files.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "orchestrator/install.h"

struct sandbox_file {
	const char *name;
	const char *text; /* NULL: the host's own, if it has one */
};

static const struct sandbox_file sandbox_files_etc[] = {
	{ "passwd", "root:x:0:0:root:/:/bin/sh\n"
		    "cronium:x:1000:1000:cronium:/work:/bin/bash\n"
		    "nobody:x:65534:65534:nobody:/:/bin/false\n" },
	{ "group", "root:x:0:\ncronium:x:1000:\nnogroup:x:65534:\n" },
	{ "hosts", "127.0.0.1 localhost cronium\n::1 localhost cronium\n" },
	{ "hostname", "cronium\n" },
	{ "resolv.conf", "# this place has no network\n" },
	{ "nsswitch.conf", "passwd: files\ngroup: files\nhosts: files\n"
			   "services: files\nprotocols: files\n" },
	{ "ld.so.cache", NULL },
	{ "protocols", NULL },
	{ "services", NULL },
};

const char *sandbox_files_etc_name(size_t i)
{
	if (i >= ARRAY_SIZE(sandbox_files_etc))
		return NULL;
	return sandbox_files_etc[i].name;
}

/* Replaced in one step: pods that run have it open or mounted. */
static int sandbox_files_write(int dir, const char *name, const char *text)
{
	_cleanup_close_ int fd = -1;
	size_t len = strlen(text);
	char temporary[64];

	snprintf(temporary, sizeof(temporary), ".%s", name);
	fd = openat(dir, temporary,
		    O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC,
		    0644);
	if (fd < 0)
		return -errno;
	if (write(fd, text, len) != (ssize_t)len || fchmod(fd, 0644) < 0)
		return -EIO;
	return renameat(dir, temporary, dir, name) < 0 ? -errno : 0;
}

static int sandbox_files_make_dir(int at, const char *name)
{
	if (mkdirat(at, name, 0755) < 0 && errno != EEXIST)
		return -errno;
	/* whatever the umask is, the script is another user */
	if (fchmodat(at, name, 0755, 0) < 0)
		return -errno;
	return 0;
}

static int sandbox_files_copy(const char *run_dir, const char *name)
{
	char from[64];
	int r;

	snprintf(from, sizeof(from), "/etc/%s", name);
	r = install_binary(run_dir, SANDBOX_FILES_DIR "/etc", name, from);
	return r == -ENOENT ? 0 : r;
}

static int sandbox_files_write_etc(const char *run_dir, int dir)
{
	_cleanup_close_ int etc = openat(dir, "etc",
					 O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int r = etc < 0 ? -errno : 0;

	for (size_t i = 0; !r && i < ARRAY_SIZE(sandbox_files_etc); i++) {
		const struct sandbox_file *f = &sandbox_files_etc[i];

		r = f->text ? sandbox_files_write(etc, f->name, f->text)
			    : sandbox_files_copy(run_dir, f->name);
	}
	return r;
}

static int sandbox_files_write_all(const char *run_dir)
{
	_cleanup_close_ int run = -1, dir = -1;
	int r;

	run = open(run_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (run < 0)
		return -errno;
	r = sandbox_files_make_dir(run, SANDBOX_FILES_DIR);
	if (r < 0)
		return r;
	dir = openat(run, SANDBOX_FILES_DIR,
		     O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (dir < 0)
		return -errno;
	r = sandbox_files_make_dir(dir, "etc");
	if (!r)
		r = sandbox_files_make_dir(dir, "sdk"); /* mounted over */
	if (!r)
		r = sandbox_files_write_etc(run_dir, dir);
	return r;
}

int sandbox_files_install(const char *run_dir, const char *runner_path,
			  char *err, size_t err_size)
{
	int r;

	r = sandbox_files_write_all(run_dir);
	if (r < 0) {
		snprintf(err, err_size, "cannot write %s/%s: %s", run_dir,
			 SANDBOX_FILES_DIR, strerror(-r));
		return r;
	}
	r = install_binary(run_dir, SANDBOX_FILES_DIR, SANDBOX_FILES_RUNNER,
			   runner_path);
	if (r < 0)
		snprintf(err, err_size, "cannot copy the runner from %s: %s",
			 runner_path, strerror(-r));
	return r;
}
