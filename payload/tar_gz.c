#include "payload/tar_gz.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <zlib.h>

#define TAR_BLOCK_BYTES 512
#define TAR_PATH_MAX_BYTES 2048 /* and more than payloads have */
#define GZIP_WINDOW_BITS (MAX_WBITS + 16)
#define GZIP_LEVEL 9
#define GZIP_MEMORY_LEVEL 8 /* zlib's own default */
#define GZIP_OS_UNKNOWN 255
#define GZIP_ROOM_BYTES (64 * 1024)

struct tar_gz {
	z_stream z;
	gz_header header;
	struct buf *out;
	size_t max_bytes;
	size_t pad;    /* after the current file */
	uint64_t left; /* of the current file */
};

/* POSIX ustar: fields end in NUL. */
struct tar_block {
	char name[100], mode[8], uid[8], gid[8], size[12], mtime[12];
	char sum[8], type, link[100], magic[6], version[2];
	char uname[32], gname[32], major[8], minor[8], prefix[155], rest[12];
};

static_assert(sizeof(struct tar_block) == TAR_BLOCK_BYTES, "a tar block");

/* --- gzip ----------------------------------------------------------------- */

int tar_gz_new(struct tar_gz **out, struct buf *to, size_t max_bytes)
{
	struct tar_gz *t = calloc(1, sizeof(*t));

	if (!t)
		return -ENOMEM;
	t->out = to;
	t->max_bytes = max_bytes;
	t->header.os = GZIP_OS_UNKNOWN;
	if (deflateInit2(&t->z, GZIP_LEVEL, Z_DEFLATED, GZIP_WINDOW_BITS,
			 GZIP_MEMORY_LEVEL, Z_DEFAULT_STRATEGY) != Z_OK) {
		free(t);
		return -ENOMEM;
	}
	deflateSetHeader(&t->z, &t->header);
	*out = t;
	return 0;
}

void tar_gz_free(struct tar_gz *t)
{
	if (!t)
		return;
	deflateEnd(&t->z);
	free(t);
}

static int tar_gz_deflate(struct tar_gz *t, const void *data, size_t len,
			  int flush)
{
	t->z.next_in = (Bytef *)(uintptr_t)data;
	t->z.avail_in = (uInt)len;
	do {
		if (buf_reserve(t->out, GZIP_ROOM_BYTES) < 0)
			return -ENOMEM;
		t->z.next_out = t->out->data + t->out->len;
		t->z.avail_out = GZIP_ROOM_BYTES;
		if (deflate(&t->z, flush) == Z_STREAM_ERROR)
			return -EINVAL;
		t->out->len += GZIP_ROOM_BYTES - t->z.avail_out;
		if (t->out->len > t->max_bytes)
			return -EFBIG;
	} while (!t->z.avail_out);
	return 0;
}

/* --- tar ------------------------------------------------------------------ */

static int tar_gz_pad(struct tar_gz *t, size_t len)
{
	static const char zeros[TAR_BLOCK_BYTES];
	size_t over = len % TAR_BLOCK_BYTES;

	return over ? tar_gz_deflate(t, zeros, TAR_BLOCK_BYTES - over,
				     Z_NO_FLUSH)
		    : 0;
}

static void tar_block_init(struct tar_block *b, char type, unsigned int mode,
			   uint64_t size)
{
	memset(b, 0, sizeof(*b));
	snprintf(b->mode, sizeof(b->mode), "%07o", mode);
	snprintf(b->uid, sizeof(b->uid), "%07o", 0);
	snprintf(b->gid, sizeof(b->gid), "%07o", 0);
	snprintf(b->size, sizeof(b->size), "%011" PRIo64, size);
	snprintf(b->mtime, sizeof(b->mtime), "%011o", 0);
	b->type = type;
	memcpy(b->magic, "ustar", sizeof(b->magic));
	memcpy(b->version, "00", sizeof(b->version));
	snprintf(b->major, sizeof(b->major), "%07o", 0);
	snprintf(b->minor, sizeof(b->minor), "%07o", 0);
}

static int tar_gz_block(struct tar_gz *t, struct tar_block *b)
{
	const uint8_t *bytes = (const uint8_t *)b;
	unsigned int sum = 0;

	memset(b->sum, ' ', sizeof(b->sum));
	for (size_t i = 0; i < sizeof(*b); i++)
		sum += bytes[i];
	snprintf(b->sum, sizeof(b->sum), "%06o", sum);
	return tar_gz_deflate(t, b, sizeof(*b), Z_NO_FLUSH);
}

/* As name, or as prefix and name; else an extended header must say it. */
static bool tar_block_set_path(struct tar_block *b, const char *path)
{
	size_t len = strlen(path);
	const char *slash;

	if (len <= sizeof(b->name)) {
		memcpy(b->name, path, len);
		return true;
	}
	/* The first slash that leaves a name that is short enough; not the
	 * final one of a directory. */
	slash = strchr(path + len - sizeof(b->name) - 1, '/');
	if (!slash || !slash[1] || slash == path ||
	    (size_t)(slash - path) > sizeof(b->prefix))
		return false;
	memcpy(b->prefix, path, (size_t)(slash - path));
	memcpy(b->name, slash + 1, strlen(slash + 1));
	return true;
}

/* "LENGTH path=PATH\n", where LENGTH counts itself. */
static int tar_gz_extended(struct tar_gz *t, const char *path)
{
	char record[TAR_PATH_MAX_BYTES + 32];
	size_t rest = strlen(" path=\n") + strlen(path), len = rest;
	struct tar_block b;
	int r;

	while (len != rest + (size_t)snprintf(NULL, 0, "%zu", len))
		len = rest + (size_t)snprintf(NULL, 0, "%zu", len);
	snprintf(record, sizeof(record), "%zu path=%s\n", len, path);
	tar_block_init(&b, 'x', 0644, len);
	memcpy(b.name, "path", strlen("path"));
	r = tar_gz_block(t, &b);
	if (!r)
		r = tar_gz_deflate(t, record, len, Z_NO_FLUSH);
	return r ? r : tar_gz_pad(t, len);
}

static int tar_gz_entry(struct tar_gz *t, const char *path, char type,
			unsigned int mode, uint64_t size)
{
	struct tar_block b;
	int r = 0;

	assert(!t->left && strlen(path) <= TAR_PATH_MAX_BYTES);
	tar_block_init(&b, type, mode, size);
	if (!tar_block_set_path(&b, path)) {
		r = tar_gz_extended(t, path);
		memcpy(b.name, path, sizeof(b.name));
	}
	return r ? r : tar_gz_block(t, &b);
}

int tar_gz_add_dir(struct tar_gz *t, const char *path)
{
	char name[TAR_PATH_MAX_BYTES + 1];

	snprintf(name, sizeof(name), "%s/", path);
	return tar_gz_entry(t, name, '5', 0755, 0);
}

int tar_gz_add_file(struct tar_gz *t, const char *path, bool executable,
		    uint64_t size)
{
	int r = tar_gz_entry(t, path, '0', executable ? 0755 : 0644, size);

	t->pad = size % TAR_BLOCK_BYTES;
	t->left = size;
	return r;
}

int tar_gz_write(struct tar_gz *t, const void *data, size_t len)
{
	int r;

	assert(len <= t->left);
	r = tar_gz_deflate(t, data, len, Z_NO_FLUSH);
	t->left -= len;
	return r || t->left ? r : tar_gz_pad(t, t->pad);
}

int tar_gz_finish(struct tar_gz *t)
{
	static const char zeros[2 * TAR_BLOCK_BYTES];

	return tar_gz_deflate(t, zeros, sizeof(zeros), Z_FINISH);
}
