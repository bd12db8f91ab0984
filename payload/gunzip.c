#include "payload/gunzip.h"

#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "payload/read.h"

#define GUNZIP_WINDOW_BITS (MAX_WBITS + 16) /* gzip, and nothing else */

int gunzip_init(struct gunzip *g, const void *data, size_t len)
{
	memset(g, 0, offsetof(struct gunzip, piece));
	g->packed = len;
	g->max_bytes = MAX((uint64_t)len * PAYLOAD_RATIO_MAX,
			   (uint64_t)PAYLOAD_RATIO_FREE_BYTES);
	g->max_bytes = MIN(g->max_bytes, (uint64_t)PAYLOAD_UNPACKED_MAX_BYTES);
	g->z.next_in = (Bytef *)(uintptr_t)data;
	g->z.avail_in = (uInt)MIN(len, (size_t)UINT_MAX);
	return inflateInit2(&g->z, GUNZIP_WINDOW_BITS) == Z_OK ? 0 : -ENOMEM;
}

void gunzip_deinit(struct gunzip *g)
{
	inflateEnd(&g->z);
}

/* What zlib said: 0 to go on. */
static int gunzip_check(struct gunzip *g, int said, size_t got, char *err,
			size_t err_size)
{
	if (said == Z_MEM_ERROR) {
		snprintf(err, err_size, "out of memory");
		return -ENOMEM;
	}
	g->ended = said == Z_STREAM_END;
	if (g->ended && g->z.avail_in)
		snprintf(err, err_size,
			 "%u bytes follow the end of the archive",
			 g->z.avail_in);
	else if (said == Z_BUF_ERROR || (said == Z_OK && !got))
		snprintf(err, err_size, "the archive is cut off");
	else if (said != Z_OK && said != Z_STREAM_END)
		snprintf(err, err_size, "the archive is not sound gzip: %s",
			 g->z.msg ? g->z.msg : "its header is not one");
	else
		return 0;
	return GUNZIP_E_REFUSED;
}

static int gunzip_check_size(const struct gunzip *g, char *err, size_t err_size)
{
	if (g->bytes <= g->max_bytes)
		return 0;
	if (g->max_bytes == PAYLOAD_UNPACKED_MAX_BYTES)
		snprintf(err, err_size,
			 "the archive unpacks to more than %lld MiB",
			 PAYLOAD_UNPACKED_MAX_BYTES / (1024 * 1024));
	else
		snprintf(err, err_size,
			 "the archive has %zu bytes and unpacks to more than "
			 "%" PRIu64 ", %d times its size",
			 g->packed, g->max_bytes, PAYLOAD_RATIO_MAX);
	return GUNZIP_E_REFUSED;
}

static void gunzip_note_zeros(struct gunzip *g, size_t len)
{
	for (size_t i = len; i > 0; i--)
		if (g->piece[i - 1]) {
			g->nonzero_end = g->bytes + i;
			return;
		}
}

int gunzip_next(struct gunzip *g, size_t *len, char *err, size_t err_size)
{
	int said, r;

	*len = 0;
	if (g->ended)
		return 0;
	g->z.next_out = g->piece;
	g->z.avail_out = sizeof(g->piece);
	said = inflate(&g->z, Z_NO_FLUSH);
	*len = sizeof(g->piece) - g->z.avail_out;
	r = gunzip_check(g, said, *len, err, err_size);
	if (r)
		return r;
	gunzip_note_zeros(g, *len);
	g->bytes += *len;
	return gunzip_check_size(g, err, err_size);
}
