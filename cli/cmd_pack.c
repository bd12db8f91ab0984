/* cronium pack: a directory becomes a payload. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cli/command.h"
#include "cli/output.h"
#include "cli/payload_file.h"
#include "common/json.h"
#include "payload/digest.h"
#include "payload/pack.h"

#define PACK_SUFFIX ".tar.gz"
#define PACK_ERROR_BYTES 1024

struct pack_options {
	struct cli_globals globals;
	const char *output, *key;
};

static const struct option_spec pack_specs[] = {
	CLI_OPTION("output", 'o', OPTION_STRING, struct pack_options, output,
		   "FILE|-", NULL,
		   "where to; default: DIR.tar.gz beside the directory"),
	CLI_OPTION("key", 'k', OPTION_STRING, struct pack_options, key, "FILE",
		   NULL, "sign it at once, as `payload sign` does"),
	CLI_JSON_OPTION,
	CLI_HELP_OPTION,
};

/* DIR.tar.gz, whatever slashes DIR ends in; of "." and "..", in whose words
 * the name is not, the real directory's. 0 or -EINVAL after a message. */
static int pack_default_name(const char *dir, struct buf *out)
{
	_cleanup_free_ char *real = realpath(dir, NULL);
	size_t len = strlen(dir);
	const char *last;

	if (!real) {
		output_error("cannot read the directory %s: %s", dir,
			     strerror(errno));
		return -EINVAL;
	}
	while (len > 1 && dir[len - 1] == '/')
		len--;
	last = memrchr(dir, '/', len);
	last = last ? last + 1 : dir;
	if (!strncmp(last, ".", len - (size_t)(last - dir)) ||
	    !strncmp(last, "..", len - (size_t)(last - dir))) {
		dir = real;
		len = strlen(real);
	}
	return buf_append(out, dir, len) || buf_append_str(out, PACK_SUFFIX) ||
			       !buf_cstr(out)
		       ? -EINVAL
		       : 0;
}

static void pack_tell(const struct pack_options *o, const char *path,
		      const struct buf *payload)
{
	char digest[PAYLOAD_DIGEST_CHARS + 1];
	_cleanup_json_ json_t *doc = NULL;

	if (!strcmp(path, "-"))
		return;
	payload_digest_hex(payload->data, payload->len, digest);
	if (o->globals.json) {
		doc = json_pack("{s:s,s:I,s:s,s:b}", "file", path, "bytes",
				(json_int_t)payload->len, "sha256", digest,
				"signed", o->key != NULL);
		if (doc)
			output_json(doc);
		return;
	}
	output_text("%s\n", path);
	output_note("%zu bytes, SHA-256 %s", payload->len, digest);
}

/* What was packed into the directory before is not packed again. 0, or -EINVAL
 * after a message. */
static int pack_make(const char *dir, const char *path, struct buf *payload)
{
	_cleanup_(buf_deinit) struct buf signature = { 0 }, sum = { 0 };
	char err[PACK_ERROR_BYTES] = "out of memory";
	int r = payload_file_beside(path, PAYLOAD_FILE_SIGNATURE_SUFFIX,
				    &signature);

	if (!r)
		r = payload_file_beside(path, PAYLOAD_FILE_CHECKSUM_SUFFIX,
					&sum);
	if (!r) {
		const char *const except[] = { path, (char *)signature.data,
					       (char *)sum.data, NULL };

		r = payload_pack_except(dir, except, payload, err, sizeof(err));
		if (r)
			output_error("cannot pack %s: %s", dir, err);
	}
	return r ? -EINVAL : 0;
}

static int pack_run(const void *options, char **words, size_t n_words)
{
	const struct pack_options *o = options;
	_cleanup_(buf_deinit) struct buf payload = { 0 }, name = { 0 };
	const char *path = o->output;

	if (!path && pack_default_name(words[0], &name))
		return CLI_USAGE;
	if (!path)
		path = (char *)name.data;
	if (o->key && !strcmp(path, "-")) {
		output_error("--key needs a file to put the signature beside: "
			     "--output FILE");
		return CLI_USAGE;
	}
	if (pack_make(words[0], path, &payload))
		return CLI_FAILED;
	if (payload_file_write(path, &payload) ||
	    (o->key && payload_file_sign(path, &payload, o->key)))
		return CLI_FAILED;
	pack_tell(o, path, &payload);
	return CLI_OK;
}

const struct command command_pack = {
	.name = "pack",
	.words = "DIR",
	.summary = "Makes a payload of a directory with a manifest.yaml",
	.details = "The same files give the same bytes, whoever packs them, "
		   "when and where. Prints the\nfile's name. `cronium run "
		   "FILE` runs it; docs/payloads.md says what a manifest "
		   "has.\n",
	.options = pack_specs,
	.n_options = ARRAY_SIZE(pack_specs),
	.options_bytes = sizeof(struct pack_options),
	.words_min = 1,
	.words_max = 1,
	.run = pack_run,
};
