#include "sidecar/proxy_body.h"

void proxy_body_init(struct proxy_body *b, bool is_chunked, uint64_t bytes)
{
	*b = (struct proxy_body){
		.is_chunked = is_chunked,
		.left = bytes,
		.done = !is_chunked && !bytes,
	};
}

static int proxy_body_read_chunks(struct proxy_body *b, const uint8_t *data,
				  size_t len, struct buf *out)
{
	const uint8_t *piece;
	size_t n;
	int r = 0;

	while (!r && len && !b->done) {
		ssize_t used = chunked_read(&b->chunked, data, len, &piece, &n);

		if (used < 0)
			return (int)used;
		data += used;
		len -= (size_t)used;
		if (n && !(r = buf_printf(out, "%zx\r\n", n)) &&
		    !(r = buf_append(out, piece, n)))
			r = buf_append_str(out, "\r\n");
		b->done = b->chunked.state == CHUNKED_DONE;
		if (!r && b->done)
			r = buf_append_str(out, "0\r\n\r\n");
	}
	return r;
}

int proxy_body_read(struct proxy_body *b, const uint8_t *data, size_t len,
		    struct buf *out)
{
	if (b->is_chunked)
		return proxy_body_read_chunks(b, data, len, out);
	len = MIN(len, b->left);
	b->left -= len;
	b->done = !b->left;
	return len ? buf_append(out, data, len) : 0;
}
