#include "orchestrator/tar.h"

#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <fcntl.h>
#include <fts.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "common/file.h"

#define TAR_FILE_MAX_BYTES (64LL * 1024 * 1024)

struct tar {
	struct archive *archive;
	struct buf out;
};

static la_ssize_t tar_on_write(struct archive *a, void *ctx, const void *data,
			       size_t len)
{
	struct tar *tar = ctx;

	if (buf_append(&tar->out, data, len) < 0)
		return -1;
	return (la_ssize_t)len;
}

static int tar_open(struct tar **out, bool gzip)
{
	_cleanup_(tar_freep) struct tar *tar = calloc(1, sizeof(*tar));

	if (!tar)
		return -ENOMEM;
	tar->archive = archive_write_new();
	if (!tar->archive ||
	    archive_write_set_format_pax_restricted(tar->archive) !=
		    ARCHIVE_OK ||
	    (gzip &&
	     (archive_write_add_filter_gzip(tar->archive) != ARCHIVE_OK ||
	      archive_write_set_filter_option(tar->archive, "gzip", "timestamp",
					      NULL) != ARCHIVE_OK ||
	      /* no padding behind the end */
	      archive_write_set_bytes_in_last_block(tar->archive, 1) !=
		      ARCHIVE_OK)) ||
	    archive_write_open(tar->archive, tar, NULL, tar_on_write, NULL) !=
		    ARCHIVE_OK)
		return -ENOMEM;
	*out = tar;
	tar = NULL;
	return 0;
}

int tar_new(struct tar **out)
{
	return tar_open(out, false);
}

int tar_new_gzip(struct tar **out)
{
	return tar_open(out, true);
}

void tar_free(struct tar *tar)
{
	if (!tar)
		return;
	archive_write_free(tar->archive);
	buf_deinit(&tar->out);
	free(tar);
}

static int tar_add(struct tar *tar, const char *name, mode_t mode,
		   const void *data, size_t len)
{
	struct archive_entry *entry = archive_entry_new();
	int r = 0;

	if (!entry)
		return -ENOMEM;
	archive_entry_set_pathname(entry, name);
	archive_entry_set_filetype(entry, AE_IFREG);
	archive_entry_set_perm(entry, mode);
	archive_entry_set_size(entry, (la_int64_t)len);
	if (archive_write_header(tar->archive, entry) != ARCHIVE_OK ||
	    archive_write_data(tar->archive, data, len) != (la_ssize_t)len)
		r = -ENOMEM;
	archive_entry_free(entry);
	return r;
}

int tar_add_bytes(struct tar *tar, const char *name, const void *data,
		  size_t len)
{
	return tar_add(tar, name, 0644, data, len);
}

int tar_add_file(struct tar *tar, const char *name, const char *path)
{
	_cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	_cleanup_(buf_deinit) struct buf bytes = { 0 };
	struct stat st;
	int r;

	if (fd < 0 || fstat(fd, &st) < 0)
		return -errno;
	if (!S_ISREG(st.st_mode))
		return -EINVAL;
	r = file_read_all(fd, TAR_FILE_MAX_BYTES, &bytes);
	return r < 0 ? r
		     : tar_add(tar, name, st.st_mode & 0777, bytes.data,
			       bytes.len);
}

static int tar_add_found(struct tar *tar, const char *name, size_t root_len,
			 const FTSENT *found)
{
	_cleanup_free_ char *inner = NULL;

	if (asprintf(&inner, "%s%s", name, found->fts_path + root_len) < 0)
		return -ENOMEM;
	return tar_add_file(tar, inner, found->fts_accpath);
}

int tar_add_tree(struct tar *tar, const char *name, const char *dir)
{
	char *const roots[] = { (char *)dir, NULL };
	FTS *fts = fts_open(roots, FTS_PHYSICAL | FTS_NOCHDIR, NULL);
	FTSENT *found;
	int r = 0;

	if (!fts)
		return -errno;
	while (r == 0 && (found = fts_read(fts)))
		if (found->fts_info == FTS_F)
			r = tar_add_found(tar, name, strlen(dir), found);
	fts_close(fts);
	return r;
}

int tar_finish(struct tar *tar, struct buf *out)
{
	if (archive_write_close(tar->archive) != ARCHIVE_OK)
		return -ENOMEM;
	*out = tar->out;
	tar->out = (struct buf){ 0 };
	return 0;
}
