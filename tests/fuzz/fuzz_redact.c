/*
 * Secrets and a stream from arbitrary bytes. However the stream is cut, what
 * comes out is the same, and no form of a secret is left in it.
 *
 * Input: a count byte, that many (length byte, bytes) secrets, a byte for the
 * cuts, then the stream, in which 0xff N stands for secret N, so that whole
 * secrets are met often.
 */
#include <assert.h>
#include <stdbool.h>
#include <string.h>

#include "common/redact.h"
#include "common/redact_forms.h"

#define FUZZ_SECRETS_MAX 4
#define FUZZ_FORMS_MAX 1024

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

struct bytes {
	const uint8_t *data;
	size_t len;
};

struct input {
	struct bytes secrets[FUZZ_SECRETS_MAX];
	size_t n_secrets;
	size_t piece;
	struct buf stream;
};

struct forms {
	struct buf items[FUZZ_FORMS_MAX];
	size_t n;
};

static int input_parse(struct input *in, const uint8_t *data, size_t len)
{
	size_t n;

	if (!len)
		return -1;
	n = *data++ % (FUZZ_SECRETS_MAX + 1);
	len--;
	for (; in->n_secrets < n && len; in->n_secrets++) {
		size_t bytes = MIN((size_t)*data, len - 1);

		in->secrets[in->n_secrets] = (struct bytes){ data + 1, bytes };
		data += 1 + bytes;
		len -= 1 + bytes;
	}
	if (!len)
		return -1;
	in->piece = *data++ % 13 + 1;
	len--;
	for (; len; data++, len--) {
		struct bytes one = { data, 1 };

		if (*data == 0xff && len > 1 && in->n_secrets) {
			one = in->secrets[data[1] % in->n_secrets];
			data++;
			len--;
		}
		if (buf_append(&in->stream, one.data, one.len) < 0)
			return -1;
	}
	return 0;
}

static void redact(struct redactor *r, const struct buf *stream, size_t piece,
		   struct buf *out)
{
	struct redact_stream *s;

	assert(redact_stream_new(&s, r) == 0);
	for (size_t at = 0; at < stream->len; at += piece)
		assert(redact_stream_feed(s, stream->data + at,
					  MIN(piece, stream->len - at),
					  out) == 0);
	assert(redact_stream_flush(s, out) == 0);
	redact_stream_free(s);
}

static int collect(void *ctx, const uint8_t *bytes, size_t len)
{
	struct forms *f = ctx;

	if (len < REDACT_SECRET_MIN_BYTES || f->n == FUZZ_FORMS_MAX)
		return 0;
	return buf_append(&f->items[f->n++], bytes, len);
}

/* A mask may, with its neighbours, spell a secret that has asterisks. */
static bool has_asterisk(const struct buf *b)
{
	return memchr(b->data, '*', b->len);
}

static void check(const struct input *in, const struct forms *forms,
		  struct redactor *r)
{
	struct buf whole = { 0 }, cut = { 0 };

	redact(r, &in->stream, MAX(in->stream.len, 1), &whole);
	redact(r, &in->stream, in->piece, &cut);
	assert(whole.len == cut.len);
	assert(!cut.len || !memcmp(whole.data, cut.data, cut.len));
	for (size_t i = 0; i < forms->n; i++)
		assert(has_asterisk(&forms->items[i]) || !whole.len ||
		       !memmem(whole.data, whole.len, forms->items[i].data,
			       forms->items[i].len));
	buf_deinit(&whole);
	buf_deinit(&cut);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	static struct forms forms;
	struct input in = { 0 };
	struct redactor *r;

	assert(redactor_new(&r) == 0);
	if (input_parse(&in, data, len) == 0) {
		for (size_t i = 0; i < in.n_secrets; i++) {
			const struct bytes *s = &in.secrets[i];

			assert(redactor_add(r, s->data, s->len) >= 0);
			assert(redact_forms(s->data, s->len, collect, &forms) >=
			       0);
		}
		check(&in, &forms, r);
	}
	redactor_free(r);
	while (forms.n)
		buf_deinit(&forms.items[--forms.n]);
	buf_deinit(&in.stream);
	return 0;
}
