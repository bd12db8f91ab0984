/* cronium session: new, list, show, pause, resume, end. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "cli/api.h"
#include "cli/command.h"
#include "cli/output.h"
#include "cli/show.h"
#include "cli/verb.h"
#include "common/json.h"
#include "common/percent.h"

#define SESSION_COLUMNS 6
#define SESSION_WORDS \
	"new NAME | list | show NAME | pause NAME | resume NAME | end NAME"

struct session_options {
	struct cli_globals globals;
	const char *state, *reason, *before;
	uint64_t limit;
};

#define SESSION_OPTION(name, letter, type, field, arg, initial, help)      \
	CLI_OPTION(name, letter, type, struct session_options, field, arg, \
		   initial, help)

static const struct option_spec session_specs[] = {
	SESSION_OPTION("reason", 0, OPTION_STRING, reason, "TEXT", NULL,
		       "pause, end: why, for those who wait for its jobs"),
	SESSION_OPTION("state", 's', OPTION_STRING, state, "STATE", NULL,
		       "list: active, paused or ended; default: all"),
	SESSION_OPTION("limit", 'n', OPTION_UINT, limit, "N", "20",
		       "list: how many"),
	SESSION_OPTION("before", 0, OPTION_STRING, before, "ID", NULL,
		       "list: go on after this one"),
	CLI_SERVER_OPTIONS,
};

/* --- requests ------------------------------------------------------------ */

/* "/v1/sessions/NAME", and what to do with it where there is something. */
static int session_path(const char *name, const char *verb, struct buf *path)
{
	int r = buf_append_str(path, "/v1/sessions/");

	if (!r)
		r = percent_append(path, name);
	if (!r && verb)
		r = buf_printf(path, "/%s", verb);
	return r || !buf_cstr(path) ? -ENOMEM : 0;
}

/* What the server answers, or NULL after a message. Takes members. */
static json_t *session_post(struct api *api, const char *path, json_t *members,
			    const char *doing)
{
	_cleanup_(buf_deinit) struct buf body = { 0 };
	_cleanup_json_ json_t *o = members;
	struct api_request request = { .method = "POST",
				       .path = path,
				       .content_type = "application/json" };

	if (!o || json_append(&body, o)) {
		output_error("out of memory");
		return NULL;
	}
	request.body = body.data;
	request.body_len = body.len;
	return api_call_json(api, &request, doing);
}

/* --- showing ------------------------------------------------------------- */

static long long session_jobs(const json_t *session, const char *kind)
{
	return json_get_int(json_object_get(session, "jobs"), kind, 0);
}

static const char *session_colour(const json_t *session)
{
	const char *state = json_get_str(session, "state", "");

	return !strcmp(state, "active")   ? OUTPUT_GREEN
	       : !strcmp(state, "paused") ? OUTPUT_YELLOW
					  : NULL;
}

static void session_row(const json_t *s, struct output_cell *cells)
{
	size_t size = sizeof(cells->text);

	snprintf(cells[0].text, size, "%s", json_get_str(s, "name", "?"));
	snprintf(cells[1].text, size, "%s", json_get_str(s, "state", "?"));
	cells[1].colour = session_colour(s);
	snprintf(cells[2].text, size, "%lld", session_jobs(s, "queued"));
	snprintf(cells[3].text, size, "%lld", session_jobs(s, "running"));
	snprintf(cells[4].text, size, "%lld", session_jobs(s, "ended"));
	output_time(json_get_int(s, "created_ms", 0), cells[5].text, size);
}

static void session_print_list(const json_t *list)
{
	static const char *const heads[SESSION_COLUMNS] = {
		"SESSION", "STATE", "QUEUED", "RUNNING", "ENDED", "CREATED"
	};
	const json_t *sessions = json_object_get(list, "sessions");
	size_t n = json_array_size(sessions);
	_cleanup_free_ struct output_cell *cells =
		calloc(n * SESSION_COLUMNS + 1, sizeof(*cells));

	if (!cells)
		return;
	for (size_t i = 0; i < n; i++)
		session_row(json_array_get(sessions, i),
			    &cells[i * SESSION_COLUMNS]);
	output_table(heads, SESSION_COLUMNS, cells, n);
	if (json_is_string(json_object_get(list, "next")))
		output_note("more: cronium session list --before %s",
			    json_get_str(list, "next", ""));
}

/* "night is paused (the disk is being moved): 3 queued, 1 running, 7 ended" */
static void session_print(const json_t *s)
{
	const char *reason = json_get_str(s, "reason", NULL);

	output_text("%s is %s%s%s%s: %lld queued, %lld running, %lld ended\n",
		    json_get_str(s, "name", "?"), json_get_str(s, "state", "?"),
		    reason ? " (" : "", reason ? reason : "", reason ? ")" : "",
		    session_jobs(s, "queued"), session_jobs(s, "running"),
		    session_jobs(s, "ended"));
}

/* Takes session. */
static int session_answer(const struct session_options *o, json_t *session)
{
	if (!session)
		return CLI_FAILED;
	if (o->globals.json)
		output_json(session);
	else
		session_print(session);
	json_decref(session);
	return CLI_OK;
}

/* --- the verbs ----------------------------------------------------------- */

static int session_new(struct api *api, const void *options, char **words)
{
	return session_answer(options,
			      session_post(api, "/v1/sessions",
					   json_pack("{s:s}", "name", words[0]),
					   "make the session"));
}

static int session_list_path(const struct session_options *o, struct buf *path)
{
	int r = buf_printf(path, "/v1/sessions?limit=%llu",
			   (unsigned long long)o->limit);

	if (!r)
		r = percent_append_query(path, "state", o->state);
	if (!r)
		r = percent_append_query(path, "before", o->before);
	return r || !buf_cstr(path) ? -ENOMEM : 0;
}

static int session_list(struct api *api, const void *options, char **words)
{
	const struct session_options *o = options;
	_cleanup_(buf_deinit) struct buf path = { 0 };

	return show_get(api, &o->globals,
			session_list_path(o, &path) ? NULL : buf_cstr(&path),
			"list the sessions", session_print_list);
}

static int session_show(struct api *api, const void *options, char **words)
{
	_cleanup_(buf_deinit) struct buf path = { 0 };

	if (session_path(words[0], NULL, &path))
		return CLI_FAILED;
	return session_answer(options, api_get_json(api, (char *)path.data,
						    "show the session"));
}

static int session_move(struct api *api, const void *options, char **words,
			const char *verb, const char *doing)
{
	const struct session_options *o = options;
	_cleanup_(buf_deinit) struct buf path = { 0 };

	if (session_path(words[0], verb, &path))
		return CLI_FAILED;
	return session_answer(o, session_post(api, (char *)path.data,
					      json_pack("{s:s*}", "reason",
							o->reason),
					      doing));
}

static int session_pause(struct api *api, const void *options, char **words)
{
	return session_move(api, options, words, "pause", "pause the session");
}

static int session_resume(struct api *api, const void *options, char **words)
{
	return session_move(api, options, words, "resume",
			    "resume the session");
}

static int session_end(struct api *api, const void *options, char **words)
{
	return session_move(api, options, words, "end", "end the session");
}

static const struct verb session_verbs[] = {
	{ "new", "NAME", 1, 1, false, session_new },
	{ "list", "", 0, 0, false, session_list },
	{ "show", "NAME", 1, 1, false, session_show },
	{ "pause", "NAME", 1, 1, false, session_pause },
	{ "resume", "NAME", 1, 1, false, session_resume },
	{ "end", "NAME", 1, 1, false, session_end },
};

static int session_run(const void *options, char **words, size_t n_words)
{
	return verb_run("session", session_verbs, ARRAY_SIZE(session_verbs),
			options, words, n_words);
}

const struct command command_session = {
	.name = "session",
	.words = SESSION_WORDS,
	.summary = "Jobs that are held, let go and ended together",
	.details =
		"`run` and `submit --session NAME` put a job into one. Paused, "
		"its queued jobs are held\nand what runs goes on; ended, all "
		"of them are cancelled. An id does for NAME, too.\n",
	.options = session_specs,
	.n_options = ARRAY_SIZE(session_specs),
	.options_bytes = sizeof(struct session_options),
	.words_min = 1,
	.words_max = 2,
	.run = session_run,
};
