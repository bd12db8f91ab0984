/* cronium payload: sign, verify, show, get, key. */
#include <stdio.h>
#include <string.h>

#include "cli/api.h"
#include "cli/command.h"
#include "cli/output.h"
#include "cli/payload_file.h"
#include "cli/read_file.h"
#include "cli/verb.h"
#include "common/json.h"
#include "common/percent.h"
#include "payload/digest.h"
#include "payload/inspect.h"
#include "payload/read.h"

#define PAYLOAD_WORDS                                                       \
	"sign FILE --key KEY | verify FILE --key PUB | show FILE | get JOB" \
	" | key"
#define PAYLOAD_PUBLIC_KEY_PATH "/v1/payload-key"

struct payload_options {
	struct cli_globals globals;
	const char *key, *signature, *output;
};

#define PAYLOAD_OPTION(name, letter, field, arg, help)                         \
	CLI_OPTION(name, letter, OPTION_STRING, struct payload_options, field, \
		   arg, NULL, help)

static const struct option_spec payload_specs[] = {
	PAYLOAD_OPTION("key", 'k', key, "FILE",
		       "sign: private key, PEM; verify: public key, PEM"),
	PAYLOAD_OPTION("signature", 0, signature, "FILE",
		       "verify: the signature; default: FILE.sig"),
	PAYLOAD_OPTION("output", 'o', output, "FILE|-",
		       "get: where to; default: JOB.tar.gz, or stdout for a "
		       "script"),
	CLI_SERVER_OPTIONS,
};

static int payload_need_key(const struct payload_options *o, const char *verb,
			    const char *next)
{
	if (o->key)
		return 0;
	output_error("payload %s needs --key FILE: %s", verb, next);
	return -1;
}

/* --- sign, verify -------------------------------------------------------- */

static int payload_run_sign(struct api *api, const void *options, char **words)
{
	const struct payload_options *o = options;
	_cleanup_(buf_deinit) struct buf content = { 0 };

	if (payload_need_key(o, "sign",
			     "a private key of P-256 in PEM; `openssl ecparam "
			     "-name prime256v1 -genkey -noout -out KEY` makes "
			     "one"))
		return CLI_USAGE;
	if (read_file("payload", words[0], PAYLOAD_MAX_BYTES, &content) ||
	    payload_file_sign(words[0], &content, o->key))
		return CLI_FAILED;
	output_text("%s" PAYLOAD_FILE_SIGNATURE_SUFFIX "\n", words[0]);
	return CLI_OK;
}

static int payload_run_verify(struct api *api, const void *options,
			      char **words)
{
	const struct payload_options *o = options;
	_cleanup_(buf_deinit) struct buf content = { 0 };

	if (payload_need_key(o, "verify",
			     "the public key of whom you trust, PEM; `cronium "
			     "payload key` prints the server's"))
		return CLI_USAGE;
	if (read_file("payload", words[0], PAYLOAD_MAX_BYTES, &content) ||
	    payload_file_verify(words[0], &content, o->key, o->signature))
		return CLI_FAILED;
	output_text("%s: signed by %s\n", words[0], o->key);
	return CLI_OK;
}

/* --- show ---------------------------------------------------------------- */

/* What it asks for, in the words of the manifest: permissions above all. */
static void payload_print_wishes(const json_t *manifest)
{
	static const struct {
		const char *member, *word;
	} wishes[] = { { "env", "environment" }, { "runtime", "runtime" } };
	size_t i;

	for (i = 0; i < ARRAY_SIZE(wishes); i++) {
		const json_t *v = json_object_get(manifest, wishes[i].member);
		_cleanup_free_ char *text = json_object_size(v)
						    ? json_dumps(v,
								 JSON_COMPACT)
						    : NULL;

		if (text)
			output_text("%s: %s\n", wishes[i].word, text);
	}
}

static void payload_print(const struct payload_info *info)
{
	const json_t *metadata = json_object_get(info->manifest, "metadata");
	const char *key;
	size_t i;
	json_t *v;

	output_text("%s, %s\n",
		    json_get_str(info->manifest, "interpreter", "?"),
		    json_get_str(info->manifest, "entrypoint", "?"));
	json_object_foreach((json_t *)metadata, key, v)
		output_text("%s: %s\n", key, json_string_value(v));
	payload_print_wishes(info->manifest);
	output_text("%zu bytes, %zu unpacked, %zu files\n", info->bytes,
		    info->unpacked_bytes, json_array_size(info->files));
	json_array_foreach(info->files, i, v)
		output_text("%s %10lld  %s\n",
			    json_get_bool(v, "executable", false) ? "x" : " ",
			    (long long)json_get_int(v, "bytes", 0),
			    json_get_str(v, "path", "?"));
}

static int payload_run_show(struct api *api, const void *options, char **words)
{
	const struct payload_options *o = options;
	_cleanup_(buf_deinit) struct buf content = { 0 }, why = { 0 };
	char digest[PAYLOAD_DIGEST_CHARS + 1];
	struct payload_info info = { 0 };
	_cleanup_json_ json_t *doc = NULL;

	if (read_file("payload", words[0], PAYLOAD_MAX_BYTES, &content))
		return CLI_FAILED;
	payload_digest_hex(content.data, content.len, digest);
	if (payload_inspect(content.data, content.len, &info, &why)) {
		output_error("%s is no payload that would be run: %s", words[0],
			     buf_cstr(&why) ? (char *)why.data
					    : "out of memory");
		return CLI_FAILED;
	}
	doc = json_pack("{s:O,s:O,s:I,s:I,s:s}", "manifest", info.manifest,
			"files", info.files, "bytes", (json_int_t)info.bytes,
			"unpacked_bytes", (json_int_t)info.unpacked_bytes,
			"sha256", digest);
	if (o->globals.json && doc) {
		output_json(doc);
	} else {
		payload_print(&info);
		output_text("SHA-256 %s\n", digest);
	}
	payload_info_deinit(&info);
	return doc ? CLI_OK : CLI_FAILED;
}

/* --- get, key ------------------------------------------------------------ */

static int payload_fetch(struct api *api, const char *path, const char *doing,
			 struct buf *out)
{
	const struct api_request request = { .method = "GET", .path = path };
	struct api_reply reply = { 0 };
	int r = -1;

	if (api_call(api, &request, &reply)) {
		*out = reply.body;
		reply.body = (struct buf){ 0 };
		r = 0;
	} else {
		api_explain(api, &reply, doing);
	}
	api_reply_deinit(&reply);
	return r;
}

static int payload_run_get(struct api *api, const void *options, char **words)
{
	const struct payload_options *o = options;
	_cleanup_(buf_deinit) struct buf path = { 0 }, content = { 0 };
	_cleanup_(buf_deinit) struct buf name = { 0 };
	const char *to = o->output;

	if (buf_append_str(&path, "/v1/jobs/") ||
	    percent_append(&path, words[0]) ||
	    buf_append_str(&path, "/payload") || !buf_cstr(&path) ||
	    payload_fetch(api, (char *)path.data, "get the payload", &content))
		return CLI_FAILED;
	if (!to && !payload_file_is("", &content))
		to = "-";
	if (!to && !buf_printf(&name, "%s.tar.gz", words[0]) && buf_cstr(&name))
		to = (char *)name.data;
	if (!to || payload_file_write(to, &content))
		return CLI_FAILED;
	if (strcmp(to, "-"))
		output_text("%s\n", to);
	return CLI_OK;
}

static int payload_run_key(struct api *api, const void *options, char **words)
{
	_cleanup_(buf_deinit) struct buf pem = { 0 };

	if (payload_fetch(api, PAYLOAD_PUBLIC_KEY_PATH, "read the server's key",
			  &pem) ||
	    payload_file_write("-", &pem))
		return CLI_FAILED;
	return CLI_OK;
}

/* --- the command --------------------------------------------------------- */

static const struct verb payload_verbs[] = {
	{ "sign", "FILE --key KEY", 1, 1, true, payload_run_sign },
	{ "verify", "FILE --key PUB", 1, 1, true, payload_run_verify },
	{ "show", "FILE", 1, 1, true, payload_run_show },
	{ "get", "JOB", 1, 1, false, payload_run_get },
	{ "key", "", 0, 0, false, payload_run_key },
};

static int payload_run(const void *options, char **words, size_t n_words)
{
	return verb_run("payload", payload_verbs, ARRAY_SIZE(payload_verbs),
			options, words, n_words);
}

const struct command command_payload = {
	.name = "payload",
	.words = PAYLOAD_WORDS,
	.summary = "Signs, checks and shows payloads",
	.details =
		"sign writes FILE.sig, base64 of an ECDSA P-256 signature over "
		"SHA-256 as\n`cosign verify-blob --key` takes it, and "
		"FILE.sha256. get prints what a job runs,\nkey the public key "
		"that the server's own signatures are verified with.\n",
	.options = payload_specs,
	.n_options = ARRAY_SIZE(payload_specs),
	.options_bytes = sizeof(struct payload_options),
	.words_min = 1,
	.words_max = 2,
	.run = payload_run,
};
