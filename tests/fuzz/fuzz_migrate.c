/*
 * Arbitrary bytes as a script: whatever it is, it is read to its end, notes
 * name lines that there are, and a script without the helper's name comes out
 * as it went in.
 */
#include <assert.h>
#include <stdint.h>
#include <string.h>

#include "cli/migrate.h"
#include "common/buf.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static size_t count_lines(const char *text, size_t len)
{
	size_t n = 1;

	for (size_t i = 0; i < len; i++)
		n += text[i] == '\n';
	return n;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct buf out = { 0 };
	struct migrate m;
	const char *text = (const char *)data + 1;

	if (!len || len > MIGRATE_TEXT_MAX_BYTES)
		return 0;
	len--;
	assert(migrate_text(&m, data[0] % 4, data[0] & 4, text, len, &out) ==
	       0);
	for (size_t i = 0; i < m.n_notes; i++)
		assert(m.notes[i].line >= 1 &&
		       m.notes[i].line <= count_lines(text, len));
	if (!memmem(text, len, "cronium", strlen("cronium")))
		assert(out.len == len &&
		       (!len || !memcmp(out.data, text, len)));
	migrate_deinit(&m);
	buf_deinit(&out);
	return 0;
}
