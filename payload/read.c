#include "payload/read.h"

#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "payload/gunzip.h"
#include "payload/path.h"

#define TAR_BLOCK_BYTES 512
#define TAR_END_BYTES (2 * TAR_BLOCK_BYTES) /* zeros */
#define READ_NAME_MAX_BYTES (PAYLOAD_PATH_MAX_BYTES + 2)

struct payload_reader {
	struct gunzip gunzip;
	struct archive *archive;
	struct archive_entry *entry; /* used again for each */
	struct path_set paths;
	const struct payload_sink *sink;
	void *ctx;
	char before[PATH_SHOWN_MAX_BYTES]; /* the last entry that was read */
	int r; /* what reading the gzip came to; its sentence is in err */
	char *err;
	size_t err_size;
};

static int read_refuse(struct payload_reader *p, const char *fmt, ...)
	PRINTF_LIKE(2, 3);

static int read_refuse(struct payload_reader *p, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(p->err, p->err_size, fmt, ap);
	va_end(ap);
	return PAYLOAD_E_REFUSED;
}

static int read_refuse_entry(struct payload_reader *p, const char *path,
			     const char *why)
{
	char shown[PATH_SHOWN_MAX_BYTES];

	return read_refuse(p, "%s: %s", path_show(path, shown), why);
}

static int read_fail(struct payload_reader *p, int r)
{
	snprintf(p->err, p->err_size, "%s", strerror(-r));
	return r;
}

/* --- what libarchive says ------------------------------------------------- */

static la_ssize_t read_on_more(struct archive *archive, void *ctx,
			       const void **data)
{
	struct payload_reader *p = ctx;
	size_t len;

	if (!p->r)
		p->r = gunzip_next(&p->gunzip, &len, p->err, p->err_size);
	if (p->r) {
		archive_set_error(archive, EINVAL, "refused");
		return ARCHIVE_FATAL;
	}
	*data = p->gunzip.piece;
	return (la_ssize_t)len;
}

/*
 * Warnings are about what we could not understand of an entry, and refused,
 * but for names that are not ASCII: libarchive would like to convert them into
 * a locale that we do not have, and then leaves them as they are.
 */
static bool read_is_good(struct archive *archive, int said)
{
	const char *text = archive_error_string(archive);

	return said == ARCHIVE_OK ||
	       (said == ARCHIVE_WARN && text &&
		strstr(text, "can't be converted from UTF-8"));
}

/* path: NULL, or the entry at hand. */
static int read_explain(struct payload_reader *p, const char *path)
{
	const char *text = archive_error_string(p->archive);

	if (p->r)
		return p->r;
	if (archive_errno(p->archive) == ENOMEM)
		return read_fail(p, -ENOMEM);
	if (!text)
		text = "the archive is damaged";
	if (path)
		return read_refuse_entry(p, path, text);
	return read_refuse(p, "the archive is not a sound tar%s%s: %s",
			   *p->before ? ", behind " : "", p->before, text);
}

/* --- an entry ------------------------------------------------------------- */

static const char *read_type_refused(struct archive_entry *entry)
{
	if (archive_entry_hardlink(entry))
		return "it is a hard link; a payload has files and directories "
		       "only";
	switch (archive_entry_filetype(entry)) {
	case AE_IFREG:
	case AE_IFDIR:
		return NULL;
	case AE_IFLNK:
		return "it is a symbolic link; a payload has files and "
		       "directories only";
	case AE_IFCHR:
	case AE_IFBLK:
		return "it is a device; a payload has files and directories "
		       "only";
	case AE_IFIFO:
		return "it is a FIFO; a payload has files and directories only";
	default:
		return "it is neither a file nor a directory";
	}
}

static const char *read_entry_refused(struct archive_entry *entry)
{
	const char *why = read_type_refused(entry);

	if (why)
		return why;
	if (archive_entry_symlink(entry))
		return "it has the target of a link";
	if (archive_entry_perm(entry) & 07000)
		return "it has a setuid, setgid or sticky bit";
	if (archive_entry_sparse_count(entry))
		return "it is sparse";
	if (archive_entry_size(entry) < 0)
		return "its size is negative";
	if (archive_entry_filetype(entry) == AE_IFDIR &&
	    archive_entry_size(entry))
		return "it is a directory with contents of its own";
	if (archive_entry_size(entry) > PAYLOAD_UNPACKED_MAX_BYTES)
		return "it is bigger than all of a payload may be";
	return NULL;
}

/* Copies a directory's name without its slash. */
static void read_trim(char name[READ_NAME_MAX_BYTES], const char *path,
		      bool directory)
{
	size_t len;

	snprintf(name, READ_NAME_MAX_BYTES, "%s", path);
	len = strlen(name);
	if (directory && len > 1 && name[len - 1] == '/')
		name[len - 1] = '\0';
}

static int read_data(struct payload_reader *p, const struct payload_entry *e)
{
	uint64_t done = 0;

	for (;;) {
		const void *data;
		size_t len;
		la_int64_t at;
		int r = archive_read_data_block(p->archive, &data, &len, &at);

		if (r == ARCHIVE_EOF)
			break;
		if (r != ARCHIVE_OK)
			return read_explain(p, e->path);
		if ((uint64_t)at != done || len > e->size - done)
			return read_refuse_entry(p, e->path, "it has holes");
		done += len;
		r = len && p->sink->on_data
			    ? p->sink->on_data(data, len, p->ctx)
			    : 0;
		if (r < 0)
			return r;
	}
	return done == e->size ? 0
			       : read_refuse_entry(p, e->path, "it is cut off");
}

static int read_hand_over(struct payload_reader *p,
			  const struct payload_entry *e)
{
	char shown[PATH_SHOWN_MAX_BYTES];
	int r = p->sink->on_entry ? p->sink->on_entry(e, p->ctx) : 0;

	p->err[0] = '\0';
	if (!r && !e->directory)
		r = read_data(p, e);
	if (!r && p->sink->on_end)
		r = p->sink->on_end(e, p->ctx);
	if (r < 0 && !p->err[0])
		snprintf(p->err, p->err_size, "%s: %s",
			 path_show(e->path, shown), strerror(-r));
	path_show(e->path, p->before);
	return r;
}

static int read_entry(struct payload_reader *p, struct archive_entry *entry)
{
	const char *path = archive_entry_pathname(entry);
	char name[READ_NAME_MAX_BYTES];
	struct payload_entry e = {
		.path = name,
		.directory = archive_entry_filetype(entry) == AE_IFDIR,
		.executable = archive_entry_perm(entry) & 0100,
		.size = (uint64_t)archive_entry_size(entry),
	};
	const char *why;
	int r;

	if (!path)
		return read_refuse(p, "an entry has no name");
	why = read_entry_refused(entry);
	if (!why) {
		read_trim(name, path, e.directory);
		why = path_check(name);
	}
	if (why)
		return read_refuse_entry(p, path, why);
	r = path_set_add(&p->paths, name, e.directory, &why);
	if (r == PATH_E_REFUSED)
		return read_refuse_entry(p, path, why);
	return r ? read_fail(p, r) : read_hand_over(p, &e);
}

/* --- the archive ---------------------------------------------------------- */

/* All of the gzip is read, so that it is known to be whole, and there must be
 * nothing in it behind the last entry but zeros. */
static int read_end(struct payload_reader *p)
{
	la_int64_t at = archive_read_header_position(p->archive);
	size_t len;

	do {
		p->r = gunzip_next(&p->gunzip, &len, p->err, p->err_size);
		if (p->r)
			return p->r;
	} while (len);
	if (p->gunzip.nonzero_end > (uint64_t)at)
		return read_refuse(p,
				   "something follows the end of the archive");
	if (p->gunzip.bytes - (uint64_t)at < TAR_END_BYTES)
		return read_refuse(p, "the archive is cut off: the blocks that "
				      "end a tar are not there");
	return 0;
}

static int read_entries(struct payload_reader *p)
{
	struct archive_entry *entry = p->entry;
	int r;

	if (!p->archive || !entry ||
	    archive_read_support_format_tar(p->archive) != ARCHIVE_OK)
		return read_fail(p, -ENOMEM);
	if (archive_read_open(p->archive, p, NULL, read_on_more, NULL) !=
	    ARCHIVE_OK)
		return read_explain(p, NULL);
	for (;;) {
		r = archive_read_next_header2(p->archive, entry);
		if (r == ARCHIVE_EOF)
			return read_end(p);
		if (!read_is_good(p->archive, r))
			return read_explain(p, NULL);
		r = read_entry(p, entry);
		if (r)
			return r;
	}
}

static int read_start(struct payload_reader *p, const void *data, size_t len)
{
	int r = gunzip_init(&p->gunzip, data, len);

	if (r)
		return read_fail(p, r);
	p->archive = archive_read_new();
	p->entry = archive_entry_new();
	r = read_entries(p);
	archive_entry_free(p->entry);
	archive_read_free(p->archive);
	path_set_deinit(&p->paths);
	gunzip_deinit(&p->gunzip);
	return r;
}

bool payload_is_archive(const void *data, size_t len)
{
	return len >= 2 && !memcmp(data, "\x1f\x8b", 2); /* RFC 1952 */
}

int payload_read(const void *data, size_t len, const struct payload_sink *sink,
		 void *ctx, char *err, size_t err_size)
{
	_cleanup_free_ struct payload_reader *p = NULL;

	if (len > PAYLOAD_MAX_BYTES) {
		snprintf(err, err_size,
			 "the archive has %zu bytes, at most %d can be", len,
			 PAYLOAD_MAX_BYTES);
		return PAYLOAD_E_REFUSED;
	}
	p = calloc(1, sizeof(*p));
	if (!p) {
		snprintf(err, err_size, "%s", strerror(ENOMEM));
		return -ENOMEM;
	}
	p->sink = sink;
	p->ctx = ctx;
	p->err = err;
	p->err_size = err_size;
	return read_start(p, data, len);
}
