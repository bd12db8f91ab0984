#include "cli/job_runtime.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "cli/output.h"
#include "common/json.h"
#include "common/runtime_config.h"

#define JOB_SHEBANG_BYTES 128
#define JOB_WAIT_TEXT_BYTES 32
#define JOB_MEMORY_MIN_BYTES ((uint64_t)RUNTIME_MEMORY_MIN_MB << 20)
#define JOB_MEMORY_NO_UNIT_BYTES (64ULL << 10) /* less was meant in MiB */

/* --- what runs it --------------------------------------------------------- */

static const struct job_runtime {
	const char *name;
	const char *const programs[4]; /* as #! lines name them */
} job_runtimes[] = {
	{ "python", { "python", "pypy" } },
	{ "node", { "node", "nodejs" } },
	{ "bash", { "bash", "sh", "dash" } },
	{ "bun", { "bun" } },
};

/* "/usr/bin/env python3.11 -u" names python; digits and dots are versions. */
static bool job_shebang_names(const char *line, const char *const *programs)
{
	const char *word = line + strspn(line, " \t"), *base;
	size_t len;

	base = word;
	len = strcspn(word, " \t\n");
	for (size_t i = 0; i < len; i++)
		if (word[i] == '/')
			base = word + i + 1;
	len -= (size_t)(base - word);
	if (len == 3 && !strncmp(base, "env", 3)) {
		base += 3;
		base += strspn(base, " \t");
		len = strcspn(base, " \t\n");
	}
	while (len && strchr("0123456789.", base[len - 1]))
		len--;
	for (; *programs; programs++)
		if (strlen(*programs) == len && !strncmp(base, *programs, len))
			return true;
	return false;
}

static const char *job_guess_runtime(const char *name, const struct buf *script)
{
	const char *by_suffix = runtime_type_name_by_suffix(name);
	char line[JOB_SHEBANG_BYTES] = "";

	if (by_suffix)
		return by_suffix;
	if (script->len < 2 || memcmp(script->data, "#!", 2) != 0)
		return NULL;
	snprintf(line, sizeof(line), "%.*s",
		 (int)MIN(script->len - 2, sizeof(line) - 1),
		 (char *)script->data + 2);
	line[strcspn(line, "\n")] = '\0';
	for (size_t i = 0; i < ARRAY_SIZE(job_runtimes); i++)
		if (job_shebang_names(line, job_runtimes[i].programs))
			return job_runtimes[i].name;
	return NULL;
}

int job_runtime_find(const struct job_options *o, const char *path,
		     const struct buf *script, const char **runtime)
{
	*runtime = o->runtime ? o->runtime : job_guess_runtime(path, script);
	if (!*runtime) {
		output_error("what runs %s cannot be told from its name or "
			     "first line; say --runtime python, node, bash or "
			     "bun",
			     path);
		return -EINVAL;
	}
	for (size_t i = 0; i < ARRAY_SIZE(job_runtimes); i++)
		if (!strcmp(*runtime, job_runtimes[i].name))
			return 0;
	output_error("--runtime %s: python, node, bash or bun is expected",
		     *runtime);
	return -EINVAL;
}

/* --- the block ------------------------------------------------------------ */

/* Each item of each "A,B". */
static json_t *job_items(const struct option_list *values)
{
	json_t *items = json_array();
	size_t len;

	for (size_t i = 0; items && i < values->n; i++)
		for (const char *at = values->items[i]; at;) {
			const char *item = option_next_item(&at, &len);

			if (json_array_append_new(items,
						  json_stringn(item, len))) {
				json_decref(items);
				return NULL;
			}
		}
	return items;
}

static int job_set_allow(json_t *permissions, const char *name,
			 const struct option_optional *allow)
{
	if (allow->alone)
		return json_object_set_new(permissions, name, json_true());
	if (!allow->list.n)
		return 0;
	return json_object_set_new(permissions, name, job_items(&allow->list));
}

static json_t *job_permissions(const struct job_options *o)
{
	json_t *p = json_object();
	int r = job_set_allow(p, "net", &o->allow_net) ||
		job_set_allow(p, "read", &o->allow_read) ||
		job_set_allow(p, "write", &o->allow_write) ||
		job_set_allow(p, "env", &o->allow_env);

	if (!r && o->allow_run)
		r = json_object_set_new(p, "run", json_true());
	if (!r && o->allow_all)
		r = json_object_set_new(p, "all", json_true());
	if (!r)
		return p;
	json_decref(p);
	return NULL;
}

static json_t *job_node_options(const struct option_list *list)
{
	json_t *options = json_array();

	for (size_t i = 0; options && i < list->n; i++)
		if (json_array_append_new(options,
					  json_string(list->items[i]))) {
			json_decref(options);
			return NULL;
		}
	return options;
}

static int job_wait(const char *text, size_t len, uint64_t *ms)
{
	char one[JOB_WAIT_TEXT_BYTES];

	if (len >= sizeof(one))
		return -EINVAL;
	memcpy(one, text, len);
	one[len] = '\0';
	return option_parse_duration(one, ms);
}

/* INITIAL/MAX/MAX-ELAPSED. */
static int job_set_backoff(json_t *block, const char *text)
{
	static const char *const names[] = { "initial", "max", "max_elapsed" };
	json_t *backoff = json_object();
	const char *at = text;
	uint64_t ms;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(names); i++) {
		size_t len = strcspn(at, "/");
		bool last = i == ARRAY_SIZE(names) - 1;

		if (!at[len] != last || job_wait(at, len, &ms) < 0 ||
		    json_object_set_new(backoff, names[i],
					json_integer((json_int_t)ms)))
			break;
		at += len + 1;
	}
	if (i == ARRAY_SIZE(names))
		return json_object_set_new(block, "backoff", backoff);
	json_decref(backoff);
	output_error("--backoff %s: INITIAL/MAX/MAX-ELAPSED is expected, such "
		     "as 100ms/5s/30s",
		     text);
	return -EINVAL;
}

static int job_set_number(json_t *block, const char *name, uint64_t value)
{
	return value ? json_object_set_new(block, name,
					   json_integer((json_int_t)value))
		     : 0;
}

static int job_set_text(json_t *block, const char *name, const char *value)
{
	return value ? json_object_set_new(block, name, json_string(value)) : 0;
}

static int job_set_memory(json_t *block, const char *text)
{
	uint64_t bytes;

	if (option_parse_bytes(text, &bytes) < 0)
		output_error("--memory: '%s' is not a size such as 256m or 2g",
			     text);
	else if (bytes >= JOB_MEMORY_MIN_BYTES)
		return job_set_number(block, "max_memory_mb",
				      (bytes + (1 << 20) - 1) >> 20);
	else if (bytes < JOB_MEMORY_NO_UNIT_BYTES &&
		 bytes << 20 >= JOB_MEMORY_MIN_BYTES)
		output_error("--memory: %s bytes is too little; did you mean "
			     "%sm?",
			     text, text);
	else
		output_error("--memory: %s is too little; the least is %dm",
			     text, RUNTIME_MEMORY_MIN_MB);
	return -EINVAL;
}

static int job_set_native_tools(json_t *block, const struct job_options *o)
{
	if (!o->no_call_agents && !o->no_call_workflows)
		return 0;
	return json_object_set_new(
		block, "native_tools",
		json_pack("{s:b,s:b}", "call_agents", !o->no_call_agents,
			  "call_workflows", !o->no_call_workflows));
}

/* Only what was given: a payload may say the rest itself. */
static int job_fill_block(json_t *block, const struct job_options *o,
			  const char *type)
{
	json_t *permissions = job_permissions(o);
	int r = job_set_text(block, "type", type) ||
		job_set_text(block, "environment", o->environment) ||
		job_set_text(block, "worker_file_perm", o->file_perm) ||
		job_set_number(block, "timeout", o->timeout_ms) ||
		job_set_number(block, "max_stderr_capture", o->stderr_bytes) ||
		job_set_number(block, "retries", o->retries) ||
		job_set_native_tools(block, o);

	if (!r && o->node_options.n)
		r = json_object_set_new(block, "node_options",
					job_node_options(&o->node_options));
	if (!r && json_object_size(permissions))
		r = json_object_set(block, "permissions", permissions);
	if (!permissions)
		r = -1;
	json_decref(permissions);
	if (r)
		output_error("the options of the job are no UTF-8, or there is "
			     "no memory");
	return r;
}

/* By the same rules as the server's; it knows the type where we do not. */
static int job_check_block(const json_t *block, const char *type)
{
	_cleanup_(runtime_config_freep) struct runtime_config *config = NULL;
	_cleanup_(buf_deinit) struct buf why = { 0 };

	if (!type)
		return 0;
	if (!runtime_config_from_json(&config, RUNTIME_KIND_JOB, block, &why))
		return 0;
	output_error("%.*s", (int)why.len, (char *)why.data);
	return -EINVAL;
}

json_t *job_runtime_block(const struct job_options *o, const char *type)
{
	json_t *block = json_object();

	if (!block || job_fill_block(block, o, type) ||
	    (o->memory && job_set_memory(block, o->memory)) ||
	    (o->backoff && job_set_backoff(block, o->backoff)) ||
	    job_check_block(block, type)) {
		json_decref(block);
		return NULL;
	}
	return block;
}
