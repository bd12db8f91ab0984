/*
 * Payloads as an attacker writes them. gzip's checksum and the manifest's place
 * would stop nearly every input at once, so that the first byte chooses: the
 * bytes as they are, as the tar inside, as a manifest, as keys and signatures.
 * seed_payload.py makes a corpus.
 */
#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include "common/json.h"
#include "common/runtime_config.h"
#include "payload/inspect.h"
#include "payload/manifest.h"
#include "payload/path.h"
#include "payload/read.h"
#include "payload/verify.h"

#define FUZZ_GZIP_WINDOW_BITS (MAX_WBITS + 16)
#define FUZZ_GZIP_MORE_BYTES 1024

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct seen {
	uint64_t left; /* of the file at hand */
	uint64_t bytes;
	unsigned int n;
	bool open;
};

static int on_entry(const struct payload_entry *e, void *ctx)
{
	struct seen *seen = ctx;

	assert(!seen->open && !path_check(e->path));
	assert(!e->directory || !e->size);
	seen->open = true;
	seen->left = e->size;
	seen->bytes += e->size;
	assert(++seen->n <= PAYLOAD_ENTRIES_MAX);
	return 0;
}

static int on_data(const void *data, size_t len, void *ctx)
{
	struct seen *seen = ctx;

	assert(seen->open && len && len <= seen->left);
	seen->left -= len;
	return 0;
}

static int on_end(const struct payload_entry *e, void *ctx)
{
	struct seen *seen = ctx;

	assert(seen->open && !seen->left);
	seen->open = false;
	return 0;
}

static void archive(const void *data, size_t size)
{
	static const struct payload_sink sink = { on_entry, on_data, on_end };
	struct payload_info info;
	struct seen seen = { 0 };
	struct buf why = { 0 };
	char err[512] = "";
	int r = payload_read(data, size, &sink, &seen, err, sizeof(err));

	assert((r == 0) == !err[0] && r >= 0);
	assert(r || (!seen.open && seen.bytes <= PAYLOAD_UNPACKED_MAX_BYTES));
	if (payload_inspect(data, size, &info, &why) == 0) {
		assert(r == 0 && info.unpacked_bytes == seen.bytes);
		payload_info_deinit(&info);
	} else {
		assert(why.len);
	}
	buf_deinit(&why);
}

static void tar(const uint8_t *data, size_t size)
{
	size_t room = compressBound(size) + FUZZ_GZIP_MORE_BYTES;
	uint8_t *out = malloc(room);
	z_stream z = { 0 };

	if (!out ||
	    deflateInit2(&z, Z_NO_COMPRESSION, Z_DEFLATED,
			 FUZZ_GZIP_WINDOW_BITS, 1, Z_DEFAULT_STRATEGY) != Z_OK)
		abort();
	z.next_in = (Bytef *)(uintptr_t)data;
	z.avail_in = (uInt)size;
	z.next_out = out;
	z.avail_out = (uInt)room;
	assert(deflate(&z, Z_FINISH) == Z_STREAM_END);
	archive(out, room - z.avail_out);
	deflateEnd(&z);
	free(out);
}

/* The runtime block of what is accepted is a block. */
static void manifest(const uint8_t *data, size_t size)
{
	struct runtime_config *config = NULL;
	struct buf why = { 0 };
	json_t *m = NULL, *block;
	int r = manifest_parse(data, size, &m, &why);

	assert((r == 0) == (why.len == 0) && (r == 0) == !!m);
	if (m) {
		block = json_deep_copy(json_object_get(m, "runtime"));
		json_object_set(block, "type",
				json_object_get(m, "interpreter"));
		assert(runtime_config_from_json(&config, RUNTIME_KIND_JOB,
						block, &why) == 0);
		assert(runtime_entrypoint_valid(
			json_get_str(m, "entrypoint", "")));
		runtime_config_free(config);
		json_decref(block);
	}
	json_decref(m);
	buf_deinit(&why);
}

/* Nobody can guess a signature of these bytes. */
static void signature(const uint8_t *data, size_t size)
{
	static const char pem[] =
		"-----BEGIN PUBLIC KEY-----\n"
		"MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE4ucrpuGcayMKGJFmWTB2VEPU31Rl\n"
		"eb+xvlQmVTbYC9ml91sXpGKAhyo6nwvyNJbvkmu0GRXD69xSUISAcR662w==\n"
		"-----END PUBLIC KEY-----\n";
	struct payload_key key;
	int r;

	if (payload_key_parse(&key, pem, strlen(pem)))
		abort();
	r = payload_verify(&key, pem, sizeof(pem), (const char *)data, size);
	assert(r == PAYLOAD_E_SIGNATURE || r == PAYLOAD_E_MALFORMED);
	if (payload_key_parse(&key, (const char *)data, size) == 0)
		assert(key.point[0] == 0x04);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static void (*const kinds[])(const uint8_t *data, size_t size) = {
		tar,
		manifest,
		signature,
	};

	if (!size)
		return 0;
	if (data[0] >= ARRAY_SIZE(kinds))
		archive(data + 1, size - 1);
	else
		kinds[data[0]](data + 1, size - 1);
	return 0;
}
