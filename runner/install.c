#include "runner/install.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "common/buf.h"
#include "common/file.h"
#include "common/options.h"
#include "payload/digest.h"
#include "payload/extract.h"
#include "payload/read.h"
#include "runner/remove_tree.h"

#define INSTALL_STAMP ".cronium-sha256" /* says what DIR was made of */
#define INSTALL_WHY_BYTES 512

struct install_options {
	const char *sha256;
	bool help;
};

static const struct option_spec install_specs[] = {
	{ "sha256", 0, OPTION_STRING, offsetof(struct install_options, sha256),
	  "HEX", NULL, "of the archive" },
	{ "help", 'h', OPTION_FLAG, offsetof(struct install_options, help),
	  NULL, NULL, "print this and exit" },
};

static bool install_is_done(const char *dir, const char *sha256)
{
	char path[PATH_MAX], stamp[PAYLOAD_DIGEST_CHARS + 1] = "";
	_cleanup_close_ int fd = -1;
	int n = snprintf(path, sizeof(path), "%s/" INSTALL_STAMP, dir);

	if (n < 0 || (size_t)n >= sizeof(path))
		return false;
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	return fd >= 0 &&
	       read(fd, stamp, PAYLOAD_DIGEST_CHARS) == PAYLOAD_DIGEST_CHARS &&
	       !strcmp(stamp, sha256);
}

static int install_check(const struct buf *archive, const char *sha256,
			 char *err, size_t err_size)
{
	char hex[PAYLOAD_DIGEST_CHARS + 1];

	payload_digest_hex(archive->data, archive->len, hex);
	if (!strcmp(hex, sha256))
		return 0;
	snprintf(err, err_size,
		 "what came on stdin has the SHA-256 %s and not %s: nothing "
		 "was unpacked; send it again",
		 hex, sha256);
	return -EBADMSG;
}

static int install_stamp(int dir, const char *sha256)
{
	_cleanup_close_ int fd = openat(dir, INSTALL_STAMP,
					O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC,
					0644);

	return fd < 0 ? -errno : file_write_all(fd, sha256, strlen(sha256));
}

static int install_fill(const char *tmp, const struct buf *archive,
			const char *sha256, char *err, size_t err_size)
{
	_cleanup_close_ int dir = open(tmp, O_PATH | O_DIRECTORY | O_CLOEXEC);
	const struct payload_extract_options options = {
		.dir_fd = dir,
		.file_mode = 0644,
		.uid = (uid_t)-1,
		.gid = (gid_t)-1,
	};
	int r;

	if (dir < 0 || chmod(tmp, 0755) < 0)
		return -errno;
	r = payload_extract(archive->data, archive->len, &options, err,
			    err_size);
	if (r)
		return r < 0 ? r : -EINVAL;
	return install_stamp(dir, sha256);
}

/* One that is in the way, from other bytes, goes. The same from somebody who
 * was faster stays: scripts may be reading it already. */
static int install_move(const char *tmp, const char *dir, const char *sha256)
{
	if (rename(tmp, dir) == 0)
		return 0;
	if (errno != ENOTEMPTY && errno != EEXIST)
		return -errno;
	if (!install_is_done(dir, sha256) &&
	    renameat2(AT_FDCWD, tmp, AT_FDCWD, dir, RENAME_EXCHANGE) < 0)
		return -errno;
	return remove_tree(AT_FDCWD, tmp);
}

static int install_unpack(const char *dir, const struct buf *archive,
			  const char *sha256, char *err, size_t err_size)
{
	char tmp[PATH_MAX];
	int n = snprintf(tmp, sizeof(tmp), "%s.XXXXXX", dir), r;

	if (n < 0 || (size_t)n >= sizeof(tmp))
		return -ENAMETOOLONG;
	if (!mkdtemp(tmp))
		return -errno;
	r = install_fill(tmp, archive, sha256, err, err_size);
	if (!r)
		r = install_move(tmp, dir, sha256);
	if (r < 0)
		remove_tree(AT_FDCWD, tmp);
	return r;
}

static int install(const char *dir, const char *sha256, char *err,
		   size_t err_size)
{
	_cleanup_(buf_deinit) struct buf archive = { 0 };
	_cleanup_free_ char *parent = strdup(dir);
	char *slash = parent ? strrchr(parent, '/') : NULL;
	int r = parent ? 0 : -ENOMEM;

	if (install_is_done(dir, sha256))
		return 0;
	if (slash && slash > parent) {
		*slash = '\0';
		r = file_make_dirs(parent, 0755);
	}
	if (!r)
		r = file_read_all(STDIN_FILENO, PAYLOAD_MAX_BYTES, &archive);
	if (!r)
		r = install_check(&archive, sha256, err, err_size);
	if (!r)
		r = install_unpack(dir, &archive, sha256, err, err_size);
	if (r < 0 && !err[0])
		snprintf(err, err_size, "cannot install %s: %s", dir,
			 strerror(-r));
	return r;
}

static bool install_is_sha256(const char *s)
{
	return s && strlen(s) == PAYLOAD_DIGEST_CHARS &&
	       strspn(s, "0123456789abcdef") == PAYLOAD_DIGEST_CHARS;
}

int install_main(int argc, char **argv)
{
	struct install_options o = { 0 };
	char err[INSTALL_WHY_BYTES] = "";
	int first;

	if (options_parse(install_specs, ARRAY_SIZE(install_specs), argc, argv,
			  false, &o, &first, err, sizeof(err)) < 0) {
		fprintf(stderr, "cronium-runner install: %s\n", err);
		return 2;
	}
	if (o.help) {
		puts("Usage: cronium-runner install DIR --sha256 HEX\n"
		     "Unpacks a tar.gz from stdin as DIR.\n");
		options_help(install_specs, ARRAY_SIZE(install_specs));
		return EXIT_SUCCESS;
	}
	if (first + 1 != argc || !install_is_sha256(o.sha256)) {
		fputs("cronium-runner install: it takes one directory, and "
		      "--sha256 with 64 hexadecimal digits in lower case\n",
		      stderr);
		return 2;
	}
	err[0] = '\0';
	if (install(argv[first], o.sha256, err, sizeof(err)) < 0) {
		fprintf(stderr, "cronium-runner install: %s\n", err);
		return EXIT_FAILURE;
	}
	return EXIT_SUCCESS;
}
