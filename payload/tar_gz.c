#include "payload/tar_gz.h"

#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <string.h>

/* A time in gzip's header would be that of the packing. */
#define TAR_GZ_OPTIONS "gzip:!timestamp,gzip:compression-level=9"

struct tar_gz {
	struct archive *archive;
	struct archive_entry *entry; /* used again for each */
	struct buf *out;
	size_t max_bytes;
	bool given_up; /* what is still written is dropped */
	int error;     /* of on_write, which libarchive does not hand on */
};

static la_ssize_t tar_gz_on_write(struct archive *a, void *ctx,
				  const void *data, size_t len)
{
	struct tar_gz *t = ctx;

	if (t->given_up)
		return (la_ssize_t)len;
	if (len > t->max_bytes - MIN(t->out->len, t->max_bytes))
		t->error = -EFBIG;
	else
		t->error = buf_append(t->out, data, len);
	return t->error ? -1 : (la_ssize_t)len;
}

static int tar_gz_result(const struct tar_gz *t, int archive_r)
{
	if (archive_r == ARCHIVE_OK)
		return 0;
	return t->error ? t->error : -ENOMEM;
}

/*
 * GNU's tar: names are bytes, whatever the locale, of any length. Blocks of
 * one byte: what is written is not padded to a tape's.
 */
static int tar_gz_open(struct tar_gz *t)
{
	struct archive *a = t->archive;

	if (!a || !t->entry || archive_write_set_format_gnutar(a) ||
	    archive_write_add_filter_gzip(a) ||
	    archive_write_set_options(a, TAR_GZ_OPTIONS) ||
	    archive_write_set_bytes_per_block(a, 0) ||
	    archive_write_open(a, t, NULL, tar_gz_on_write, NULL))
		return -ENOMEM;
	return 0;
}

int tar_gz_new(struct tar_gz **out, struct buf *into, size_t max_bytes)
{
	_cleanup_(tar_gz_freep) struct tar_gz *t = calloc(1, sizeof(*t));

	if (!t)
		return -ENOMEM;
	t->out = into;
	t->max_bytes = max_bytes;
	t->archive = archive_write_new();
	t->entry = archive_entry_new();
	if (tar_gz_open(t))
		return -ENOMEM;
	*out = t;
	t = NULL;
	return 0;
}

void tar_gz_free(struct tar_gz *t)
{
	if (!t)
		return;
	archive_entry_free(t->entry);
	/* Freeing still writes an end to what was given up. */
	t->given_up = true;
	archive_write_free(t->archive);
	free(t);
}

static int tar_gz_add(struct tar_gz *t, const char *path, unsigned int type,
		      mode_t mode, uint64_t size)
{
	struct archive_entry *e = archive_entry_clear(t->entry);

	archive_entry_set_pathname(e, path);
	archive_entry_set_filetype(e, type);
	archive_entry_set_perm(e, mode);
	archive_entry_set_size(e, (la_int64_t)size);
	archive_entry_set_mtime(e, 0, 0);
	return tar_gz_result(t, archive_write_header(t->archive, e));
}

int tar_gz_add_dir(struct tar_gz *t, const char *path)
{
	return tar_gz_add(t, path, AE_IFDIR, 0755, 0);
}

int tar_gz_add_file(struct tar_gz *t, const char *path, bool executable,
		    uint64_t size)
{
	return tar_gz_add(t, path, AE_IFREG, executable ? 0755 : 0644, size);
}

int tar_gz_write(struct tar_gz *t, const void *data, size_t len)
{
	la_ssize_t n = archive_write_data(t->archive, data, len);

	return tar_gz_result(t,
			     n == (la_ssize_t)len ? ARCHIVE_OK : ARCHIVE_FATAL);
}

int tar_gz_finish(struct tar_gz *t)
{
	return tar_gz_result(t, archive_write_close(t->archive));
}
