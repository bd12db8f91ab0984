#include "runner/program.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/fsuid.h>
#include <sys/stat.h>

#include "common/file.h"
#include "payload/extract.h"
#include "payload/verify.h"
#include "runner/command_line.h"

static const char *program_why_refused(const struct assignment *a,
				       const struct payload_key *key,
				       const void *data, size_t len)
{
	const char *why = command_line_refused(a);

	if (why)
		return why;
	if (!key)
		return "the runner knows no key to check it with: start the "
		       "runner with --key and the backend's payload.pub";
	if (!a->signature[0])
		return "it is not signed: submit it again, or sign it with the "
		       "backend's payload key";
	switch (payload_verify(key, data, len, a->signature,
			       strlen(a->signature))) {
	case 0:
		return NULL;
	case PAYLOAD_E_SIGNATURE:
		return "it was altered after it was signed, or was signed with "
		       "another key than the runner's: submit it again, and "
		       "see that the runner has this backend's payload.pub";
	default:
		return "its signature is not one (base64 of an ECDSA P-256 "
		       "signature): sign it again";
	}
}

static int program_verify(const struct assignment *a,
			  const struct payload_key *key, const void *data,
			  size_t len, char *err, size_t err_size)
{
	const char *why = program_why_refused(a, key, data, len);

	if (!why)
		return 0;
	snprintf(err, err_size, "refused to run %s: %s", a->script_name, why);
	return -EACCES;
}

static int program_write_script(const struct assignment *a, int dir,
				const void *data, size_t len, char *err,
				size_t err_size)
{
	_cleanup_close_ int fd = -1;
	int r = 0;

	fd = openat(dir, a->script_name,
		    O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0)
		r = -errno;
	if (!r)
		r = file_write_all(fd, data, len);
	if (!r && fchmod(fd, a->file_mode) < 0)
		r = -errno;
	if (r < 0)
		snprintf(err, err_size, "cannot write %s into %s: %s",
			 a->script_name, a->work_dir, strerror(-r));
	return r;
}

static int program_extract(const struct assignment *a, int dir,
			   const void *data, size_t len, char *err,
			   size_t err_size)
{
	const struct payload_extract_options options = {
		.dir_fd = dir,
		.file_mode = a->file_mode,
		.uid = (uid_t)-1, /* it is made with the user's own rights */
		.gid = (gid_t)-1,
	};
	int r = payload_extract(data, len, &options, err, err_size);

	return r > 0 ? -EINVAL : r;
}

static int program_write(const struct assignment *a, const void *data,
			 size_t len, char *err, size_t err_size)
{
	_cleanup_close_ int dir = -1;
	int e;

	dir = open(a->work_dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (dir < 0) {
		e = errno;
		snprintf(err, err_size, "cannot open %s: %s", a->work_dir,
			 strerror(e));
		return -e;
	}
	if (a->payload)
		return program_extract(a, dir, data, len, err, err_size);
	return program_write_script(a, dir, data, len, err, err_size);
}

int program_put(const struct assignment *a, const struct payload_key *key,
		const void *data, size_t len, char *err, size_t err_size)
{
	int r = program_verify(a, key, data, len, err, err_size);

	if (r < 0)
		return r;
	/* The runner has neither CHOWN nor DAC_OVERRIDE: the files are made
	 * with the user's own rights. */
	if (a->uid >= 0) {
		setfsgid((gid_t)a->gid);
		setfsuid((uid_t)a->uid);
	}
	r = program_write(a, data, len, err, err_size);
	if (a->uid >= 0) {
		setfsuid(geteuid());
		setfsgid(getegid());
	}
	return r;
}
