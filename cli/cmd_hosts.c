/* cronium hosts: add, list, show, accept, check, remove. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "cli/api.h"
#include "cli/command.h"
#include "cli/follow.h"
#include "cli/job_view.h"
#include "cli/output.h"
#include "cli/show.h"
#include "cli/verb.h"
#include "common/frame.h"
#include "common/id.h"
#include "common/json.h"
#include "common/percent.h"

#define HOSTS_COLUMNS 5
#define HOSTS_PORT 22
#define HOSTS_ADDRESS_BYTES 256
#define HOSTS_CHECK_TIMEOUT_MS 60000
#define HOSTS_WORDS                                                         \
	"add NAME USER@HOST[:PORT] | list | show NAME | accept NAME KEY | " \
	"check NAME | rm NAME"

struct hosts_options {
	struct cli_globals globals;
	const char *mode, *host_key;
	bool read_only;
};

#define HOSTS_OPTION(name, letter, type, field, arg, initial, help)      \
	CLI_OPTION(name, letter, type, struct hosts_options, field, arg, \
		   initial, help)

static const struct option_spec hosts_specs[] = {
	HOSTS_OPTION("host-key", 0, OPTION_STRING, host_key, "SHA256:…", NULL,
		     "add: the fingerprint of its key; default: what the "
		     "orchestrator's known_hosts has"),
	HOSTS_OPTION("mode", 0, OPTION_STRING, mode, "MODE", "tunnel",
		     "add: tunnel, or direct: scripts call the gateway"),
	HOSTS_OPTION("read-only", 0, OPTION_FLAG, read_only, NULL, NULL,
		     "add: jobs there write no variables and set no "
		     "condition"),
	CLI_SERVER_OPTIONS,
};

/* --- requests ------------------------------------------------------------ */

static int hosts_path(const char *name, struct buf *path)
{
	return buf_append_str(path, "/v1/hosts/") ||
			       percent_append(path, name) || !buf_cstr(path)
		       ? -ENOMEM
		       : 0;
}

/* The host as the server has it, or NULL after a message. */
static json_t *hosts_get(struct api *api, const char *name)
{
	_cleanup_(buf_deinit) struct buf path = { 0 };

	return hosts_path(name, &path)
		       ? NULL
		       : api_get_json(api, (char *)path.data, "show the host");
}

static json_t *hosts_put(struct api *api, const char *name, const json_t *host)
{
	_cleanup_(buf_deinit) struct buf path = { 0 }, body = { 0 };
	struct api_request request = { .method = "PUT",
				       .content_type = "application/json" };

	if (hosts_path(name, &path) || json_append(&body, host))
		return NULL;
	request.path = (char *)path.data;
	request.body = body.data;
	request.body_len = body.len;
	return api_call_json(api, &request, "register the host");
}

/* --- add ----------------------------------------------------------------- */

struct hosts_address {
	char user[HOSTS_ADDRESS_BYTES], host[HOSTS_ADDRESS_BYTES];
	uint64_t port;
};

/* USER@HOST[:PORT]; an IPv6 address is in brackets where a port follows. 0,
 * or -EINVAL after a message. */
static int hosts_parse_address(const char *text, struct hosts_address *out)
{
	const char *at = strrchr(text, '@'), *host = at ? at + 1 : "";
	const char *colon = strrchr(host, ':'), *end = host + strlen(host);
	bool bracket = host[0] == '[';
	const char *close = bracket ? strchr(host, ']') : NULL;
	bool with_port = colon && (bracket ? close && colon == close + 1
					   : strchr(host, ':') == colon);

	out->port = HOSTS_PORT;
	if (with_port)
		end = colon;
	if (bracket) {
		host++;
		end = close;
	}
	if (!at || at == text || !end || end <= host ||
	    (size_t)(at - text) >= sizeof(out->user) ||
	    (size_t)(end - host) >= sizeof(out->host) ||
	    (with_port && option_parse_uint(colon + 1, &out->port))) {
		output_error("%s: USER@HOST or USER@HOST:PORT is expected, "
			     "such as deploy@web1.example.com",
			     text);
		return -EINVAL;
	}
	snprintf(out->user, sizeof(out->user), "%.*s", (int)(at - text), text);
	snprintf(out->host, sizeof(out->host), "%.*s", (int)(end - host), host);
	return 0;
}

/* The host where there is one; says nothing. */
static json_t *hosts_find(struct api *api, const char *name)
{
	_cleanup_(buf_deinit) struct buf path = { 0 };
	struct api_request request = { .method = "GET" };
	struct api_reply reply = { 0 };
	json_t *host = NULL;

	if (hosts_path(name, &path))
		return NULL;
	request.path = (char *)path.data;
	if (api_call(api, &request, &reply))
		host = json_loadb((char *)reply.body.data, reply.body.len, 0,
				  NULL);
	api_reply_deinit(&reply);
	return host;
}

/* The key that was accepted of the same machine, or NULL. */
static const char *hosts_kept_key(const json_t *known,
				  const struct hosts_address *address)
{
	if (strcmp(json_get_str(known, "address", ""), address->host) ||
	    (uint64_t)json_get_int(known, "port", 0) != address->port)
		return NULL;
	return json_get_str(known, "host_key", NULL);
}

static int hosts_add(struct api *api, const void *options, char **words)
{
	const struct hosts_options *o = options;
	_cleanup_json_ json_t *known = NULL, *host = NULL, *stored = NULL;
	struct hosts_address address;

	if (hosts_parse_address(words[1], &address))
		return CLI_USAGE;
	known = o->host_key ? NULL : hosts_find(api, words[0]);
	host = json_pack("{s:s,s:s,s:I,s:s?,s:s,s:b}", "user", address.user,
			 "address", address.host, "port",
			 (json_int_t)address.port, "host_key",
			 o->host_key ? o->host_key
				     : hosts_kept_key(known, &address),
			 "mode", o->mode, "read_only", o->read_only);
	stored = host ? hosts_put(api, words[0], host) : NULL;
	if (!stored)
		return CLI_FAILED;
	if (o->globals.json)
		output_json(stored);
	else
		output_note("%s is registered; `cronium hosts check %s` tries "
			    "it",
			    words[0], words[0]);
	return CLI_OK;
}

/* What was pinned before is replaced: the user has seen the new one. */
static int hosts_accept(struct api *api, const void *options, char **words)
{
	_cleanup_json_ json_t *host = hosts_get(api, words[0]), *stored = NULL;
	static const char *const kept[] = { "user", "address", "port", "mode",
					    "read_only" };
	_cleanup_json_ json_t *next = json_pack("{s:s}", "host_key", words[1]);

	for (size_t i = 0; host && i < ARRAY_SIZE(kept); i++)
		json_object_set(next, kept[i], json_object_get(host, kept[i]));
	stored = host && next ? hosts_put(api, words[0], next) : NULL;
	return stored ? CLI_OK : CLI_FAILED;
}

/* --- list, show, rm ------------------------------------------------------ */

static void hosts_row(const json_t *h, struct output_cell *cells)
{
	const char *key = json_get_str(h, "host_key", NULL);
	size_t size = sizeof(cells->text);

	snprintf(cells[0].text, size, "%s", json_get_str(h, "name", "?"));
	snprintf(cells[1].text, size, "%s@%s:%lld",
		 json_get_str(h, "user", "?"), json_get_str(h, "address", "?"),
		 (long long)json_get_int(h, "port", HOSTS_PORT));
	snprintf(cells[2].text, size, "%s", json_get_str(h, "mode", "?"));
	snprintf(cells[3].text, size, "%s",
		 json_get_bool(h, "read_only", false) ? "read-only" : "");
	snprintf(cells[4].text, size, "%s", key ? key : "known_hosts");
}

static void hosts_print(const json_t *list)
{
	static const char *const heads[HOSTS_COLUMNS] = { "NAME", "ADDRESS",
							  "MODE", "RIGHTS",
							  "HOST KEY" };
	const json_t *hosts = json_object_get(list, "hosts");
	size_t n = json_array_size(hosts);
	_cleanup_free_ struct output_cell *cells = calloc(n * HOSTS_COLUMNS + 1,
							  sizeof(*cells));

	if (!cells)
		return;
	for (size_t i = 0; i < n; i++)
		hosts_row(json_array_get(hosts, i), &cells[i * HOSTS_COLUMNS]);
	output_table(heads, HOSTS_COLUMNS, cells, n);
}

static int hosts_list(struct api *api, const void *options, char **words)
{
	const struct hosts_options *o = options;

	return show_get(api, &o->globals, "/v1/hosts", "list the hosts",
			hosts_print);
}

static int hosts_show(struct api *api, const void *options, char **words)
{
	_cleanup_json_ json_t *host = hosts_get(api, words[0]);

	if (!host)
		return CLI_FAILED;
	output_json(host);
	return CLI_OK;
}

static int hosts_rm(struct api *api, const void *options, char **words)
{
	_cleanup_(buf_deinit) struct buf path = { 0 };
	struct api_request request = { .method = "DELETE" };
	struct api_reply reply = { 0 };
	int exit_code = CLI_FAILED;

	if (hosts_path(words[0], &path))
		return CLI_FAILED;
	request.path = (char *)path.data;
	if (api_call(api, &request, &reply))
		exit_code = CLI_OK;
	else
		api_explain(api, &reply, "remove the host");
	api_reply_deinit(&reply);
	return exit_code;
}

/* --- check --------------------------------------------------------------- */

/* The least that a job can be. */
static int hosts_check_body(const char *host, struct buf *body)
{
	static const char script[] = ":\n";
	_cleanup_json_ json_t *spec = json_pack(
		"{s:s,s:s,s:s,s:s,s:s,s:I}", "name", "host-check", "runtime",
		"bash", "executor", "ssh", "host", host, "input_stream", "none",
		"timeout_ms", (json_int_t)HOSTS_CHECK_TIMEOUT_MS);
	_cleanup_(buf_deinit) struct buf text = { 0 };
	int r = spec ? json_append(&text, spec) : -ENOMEM;

	if (!r)
		r = frame_append(body, FRAME_SPEC, text.data, text.len);
	return r ? r : frame_append(body, FRAME_SCRIPT, script, strlen(script));
}

static int hosts_check_tell(const char *name, const json_t *job)
{
	const char *reason = json_get_str(job, "reason", NULL);
	bool good = !strcmp(json_get_str(job, "state", ""), "succeeded");

	if (good)
		output_text("%s: a job runs there\n", name);
	else
		output_error("%s: %s", name,
			     reason ? reason : "the job failed there");
	return good ? CLI_OK : CLI_FAILED;
}

/* A job is the truest check: everything that a job needs is tried. */
static int hosts_check(struct api *api, const void *options, char **words)
{
	static const struct follow_options follow = {
		.stdout_fd = STDERR_FILENO,
		.stderr_fd = STDERR_FILENO,
		.cancel = true,
	};
	_cleanup_json_ json_t *job = NULL, *ended = NULL;
	_cleanup_(buf_deinit) struct buf body = { 0 };
	char key[ID_MAX_BYTES];
	struct api_request request = { .method = "POST",
				       .path = "/v1/jobs",
				       .content_type = FRAME_CONTENT_TYPE,
				       .idempotency_key = key };

	id_new("cli", key);
	if (hosts_check_body(words[0], &body))
		return CLI_FAILED;
	request.body = body.data;
	request.body_len = body.len;
	job = api_call_json(api, &request, "check the host");
	if (!job || follow_job(api, json_get_str(job, "id", ""), &follow,
			       &ended) != FOLLOW_ENDED)
		return CLI_FAILED;
	return hosts_check_tell(words[0], ended);
}

/* --- the command --------------------------------------------------------- */

static const struct verb hosts_verbs[] = {
	{ "add", "NAME USER@HOST[:PORT]", 2, 2, false, hosts_add },
	{ "list", "", 0, 0, false, hosts_list },
	{ "show", "NAME", 1, 1, false, hosts_show },
	{ "accept", "NAME SHA256:…", 2, 2, false, hosts_accept },
	{ "check", "NAME", 1, 1, false, hosts_check },
	{ "rm", "NAME", 1, 1, false, hosts_rm },
};

static int hosts_run(const void *options, char **words, size_t n_words)
{
	return verb_run("hosts", hosts_verbs, ARRAY_SIZE(hosts_verbs), options,
			words, n_words);
}

const struct command command_hosts = {
	.name = "hosts",
	.words = HOSTS_WORDS,
	.summary = "Remote hosts that jobs can run on, over SSH",
	.details =
		"The orchestrator connects with its own keys (--ssh-key, or an "
		"agent). A host whose key\nis not known is refused with the "
		"fingerprint: compare it, then `accept` it. `cronium run\n"
		"--host NAME SCRIPT` runs a job there.\n",
	.options = hosts_specs,
	.n_options = ARRAY_SIZE(hosts_specs),
	.options_bytes = sizeof(struct hosts_options),
	.words_min = 1,
	.words_max = 3,
	.run = hosts_run,
};
