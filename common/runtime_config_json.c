/* The `runtime` block as JSON: read, and written in its normal form. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "common/json.h"
#include "common/options.h"
#include "common/runtime_config_impl.h"

struct runtime_reader {
	struct violations *v;
	struct runtime_config_options o;
	bool type_wrong; /* and that was said */
	const char *lists[RUNTIME_LISTS][RUNTIME_LIST_MAX_ITEMS + 2];
};

struct runtime_member {
	const char *name; /* after its last dot, in its object */
	void (*read)(struct runtime_reader *r, const char *name,
		     const json_t *value);
};

static void read_object(struct runtime_reader *r, const char *name,
			const struct runtime_member *members, size_t n,
			const json_t *o)
{
	const char *key;
	json_t *value;
	size_t i;

	json_object_foreach((json_t *)(uintptr_t)o, key, value) {
		char full[96];

		snprintf(full, sizeof(full), "%s%s%.64s", name,
			 *name ? "." : "", key);
		for (i = 0; i < n && strcmp(key, members[i].name) != 0; i++)
			;
		if (i == n)
			violations_add(r->v, full, "is not a known member");
		else
			members[i].read(r, full, value);
	}
}

/* --- texts, lists --------------------------------------------------------- */

static const char *read_text(struct runtime_reader *r, const char *name,
			     const json_t *v)
{
	if (!json_is_string(v))
		violations_add(r->v, name, "must be a string, not %s",
			       json_type_name(v));
	return json_string_value(v);
}

static void read_type(struct runtime_reader *r, const char *name,
		      const json_t *v)
{
	r->o.type = read_text(r, name, v);
	r->type_wrong = !r->o.type;
}

static void read_entrypoint(struct runtime_reader *r, const char *name,
			    const json_t *v)
{
	if (!json_is_null(v))
		r->o.entrypoint = read_text(r, name, v);
}

static void read_environment(struct runtime_reader *r, const char *name,
			     const json_t *v)
{
	r->o.environment = read_text(r, name, v);
}

/* One more than the limit is kept, so that the check sees that. */
static void read_list(struct runtime_reader *r, enum runtime_list list,
		      const char *name, const json_t *v)
{
	const char **items = r->lists[list];
	size_t i, n = 0;
	json_t *item;

	json_array_foreach(v, i, item) {
		if (n > RUNTIME_LIST_MAX_ITEMS)
			break;
		if (json_is_string(item))
			items[n++] = json_string_value(item);
		else
			violations_add(r->v, name,
				       "item %zu must be a string, not %s", i,
				       json_type_name(item));
	}
	items[n] = NULL;
	runtime_list_set(&r->o, list, items);
}

static void read_node_options(struct runtime_reader *r, const char *name,
			      const json_t *v)
{
	if (json_is_array(v))
		read_list(r, RUNTIME_LIST_NODE, name, v);
	else
		violations_add(r->v, name,
			       "must be an array of strings, not %s",
			       json_type_name(v));
}

/* --- permissions ---------------------------------------------------------- */

/* true, false or "all". */
static bool read_all(const json_t *v, bool *out)
{
	const char *s = json_string_value(v);

	*out = json_is_true(v) || (s && !strcmp(s, "all"));
	return json_is_boolean(v) || *out;
}

static void read_allow(struct runtime_reader *r, const char *name,
		       const json_t *v)
{
	struct runtime_permissions *p = &r->o.permissions;
	static const size_t offsets[] = {
		[RUNTIME_LIST_NET] = offsetof(struct runtime_permissions, net),
		[RUNTIME_LIST_READ] = offsetof(struct runtime_permissions,
					       read),
		[RUNTIME_LIST_WRITE] = offsetof(struct runtime_permissions,
						write),
		[RUNTIME_LIST_ENV] = offsetof(struct runtime_permissions, env),
	};
	enum runtime_list i = 0;
	struct runtime_allow *allow;

	while (strcmp(name, runtime_lists[i].name) != 0)
		i++;
	allow = (struct runtime_allow *)(void *)((char *)p + offsets[i]);
	if (json_is_array(v))
		read_list(r, i, name, v);
	else if (!read_all(v, &allow->all))
		violations_add(r->v, name,
			       "must be true, false or an array of strings, "
			       "not %s",
			       json_type_name(v));
}

static void read_flag(struct runtime_reader *r, const char *name,
		      const json_t *v)
{
	struct runtime_permissions *p = &r->o.permissions;
	bool *flag = !strcmp(name, "permissions.run") ? &p->run : &p->all;

	if (!read_all(v, flag))
		violations_add(r->v, name, "must be true or false, not %s",
			       json_type_name(v));
}

static void read_permissions(struct runtime_reader *r, const char *name,
			     const json_t *v)
{
	static const struct runtime_member members[] = {
		{ "net", read_allow },   { "read", read_allow },
		{ "write", read_allow }, { "env", read_allow },
		{ "run", read_flag },    { "all", read_flag },
	};

	if (json_is_object(v))
		read_object(r, name, members, ARRAY_SIZE(members), v);
	else if (!read_all(v, &r->o.permissions.all))
		violations_add(r->v, name,
			       "must be an object, true or false, not %s",
			       json_type_name(v));
}

/* --- numbers -------------------------------------------------------------- */

/* "30s", "1m": a number alone would not say what it counts. */
static bool read_scaled(const char *s,
			int (*parse)(const char *s, uint64_t *out),
			uint64_t *out)
{
	size_t len = strlen(s);

	return len && (s[len - 1] < '0' || s[len - 1] > '9') &&
	       parse(s, out) == 0;
}

/* 0, the default, where v is wrong. scaled: how a string is read; NULL: there
 * are none. */
static uint64_t read_number(struct runtime_reader *r, enum runtime_number n,
			    const json_t *v,
			    int (*scaled)(const char *s, uint64_t *out),
			    const char *expected)
{
	const struct runtime_range *range = &runtime_ranges[n];
	json_int_t i = json_integer_value(v);
	uint64_t value = i < 0 ? UINT64_MAX : (uint64_t)i;

	if (json_is_string(v) && scaled &&
	    !read_scaled(json_string_value(v), scaled, &value))
		violations_add(r->v, range->name, "\"%.40s\" is not %s",
			       json_string_value(v), expected);
	else if (!json_is_integer(v) && !(json_is_string(v) && scaled))
		violations_add(r->v, range->name, "must be %s, not %s",
			       expected, json_type_name(v));
	else if (value < range->min || value > range->max)
		violations_add(r->v, range->name,
			       "must be %" PRIu64 " to %" PRIu64
			       ", not %" JSON_INTEGER_FORMAT,
			       range->min, range->max,
			       json_is_string(v) ? (json_int_t)value : i);
	else
		return value;
	return 0;
}

static uint64_t read_whole(struct runtime_reader *r, enum runtime_number n,
			   const json_t *v)
{
	return read_number(r, n, v, NULL, "a whole number");
}

static uint64_t read_duration(struct runtime_reader *r, enum runtime_number n,
			      const json_t *v)
{
	return read_number(r, n, v, option_parse_duration,
			   "milliseconds or a duration such as \"30s\"");
}

static void read_memory(struct runtime_reader *r, const char *name,
			const json_t *v)
{
	(void)name;
	r->o.max_memory_mb = (uint32_t)read_whole(r, RUNTIME_NUMBER_MEMORY, v);
}

static void read_timeout(struct runtime_reader *r, const char *name,
			 const json_t *v)
{
	(void)name;
	if (!json_is_null(v))
		r->o.timeout_ms = read_duration(r, RUNTIME_NUMBER_TIMEOUT, v);
}

static void read_stderr(struct runtime_reader *r, const char *name,
			const json_t *v)
{
	(void)name;
	r->o.max_stderr_bytes =
		read_number(r, RUNTIME_NUMBER_STDERR, v, option_parse_bytes,
			    "a number of bytes or a size such as \"1m\"");
}

static void read_retries(struct runtime_reader *r, const char *name,
			 const json_t *v)
{
	(void)name;
	r->o.retries = (uint32_t)read_whole(r, RUNTIME_NUMBER_RETRIES, v);
}

static void read_wait(struct runtime_reader *r, const char *name,
		      const json_t *v)
{
	enum runtime_number n = RUNTIME_NUMBER_INITIAL;
	uint32_t *const waits[] = {
		&r->o.backoff_initial_ms,
		&r->o.backoff_max_ms,
		&r->o.backoff_max_elapsed_ms,
	};

	while (strcmp(name, runtime_ranges[n].name) != 0)
		n++;
	*waits[n - RUNTIME_NUMBER_INITIAL] = (uint32_t)read_duration(r, n, v);
}

static void read_backoff(struct runtime_reader *r, const char *name,
			 const json_t *v)
{
	static const struct runtime_member members[] = {
		{ "initial", read_wait },
		{ "max", read_wait },
		{ "max_elapsed", read_wait },
	};

	if (json_is_object(v))
		read_object(r, name, members, ARRAY_SIZE(members), v);
	else
		violations_add(r->v, name, "must be an object, not %s",
			       json_type_name(v));
}

/* --- the rest ------------------------------------------------------------- */

static void read_file_perm(struct runtime_reader *r, const char *name,
			   const json_t *v)
{
	const char *s = json_string_value(v);
	size_t len = s ? strlen(s) : 0;

	if (len < 3 || len > 4 || s[strspn(s, "01234567")] ||
	    !(r->o.worker_file_perm = (uint32_t)strtoul(s, NULL, 8)))
		violations_add(r->v, name,
			       "must be octal digits in a string, such as "
			       "\"0600\"");
}

static void read_native_tool(struct runtime_reader *r, const char *name,
			     const json_t *v)
{
	bool *no = strcmp(name, "native_tools.call_agents") != 0
			   ? &r->o.no_call_workflows
			   : &r->o.no_call_agents;

	*no = json_is_false(v);
	if (!json_is_boolean(v))
		violations_add(r->v, name, "must be true or false, not %s",
			       json_type_name(v));
}

static void read_native_tools(struct runtime_reader *r, const char *name,
			      const json_t *v)
{
	static const struct runtime_member members[] = {
		{ "call_agents", read_native_tool },
		{ "call_workflows", read_native_tool },
	};

	if (json_is_object(v))
		read_object(r, name, members, ARRAY_SIZE(members), v);
	else
		violations_add(r->v, name, "must be an object, not %s",
			       json_type_name(v));
}

static void read_block(struct runtime_reader *r, const json_t *block)
{
	static const struct runtime_member members[] = {
		{ "type", read_type },
		{ "entrypoint", read_entrypoint },
		{ "environment", read_environment },
		{ "permissions", read_permissions },
		{ "node_options", read_node_options },
		{ "max_memory_mb", read_memory },
		{ "timeout", read_timeout },
		{ "max_stderr_capture", read_stderr },
		{ "retries", read_retries },
		{ "backoff", read_backoff },
		{ "worker_file_perm", read_file_perm },
		{ "native_tools", read_native_tools },
	};

	if (json_is_string(block)) {
		read_type(r, "", block);
		return;
	}
	r->type_wrong = !json_is_object(block);
	if (json_is_object(block))
		read_object(r, "", members, ARRAY_SIZE(members), block);
	else
		violations_add(r->v, r->v->prefix ? "" : "runtime",
			       "must be a type's name or an object, not %s",
			       json_type_name(block));
}

int runtime_config_read_json(struct runtime_config **out,
			     enum runtime_kind kind, const json_t *block,
			     struct violations *v)
{
	unsigned int before = v->n;
	struct runtime_reader r;

	/* The lists are big, and most of them are not there. */
	memset(&r, 0, offsetof(struct runtime_reader, lists));
	r.v = v;
	r.o.kind = kind;
	read_block(&r, block);
	return runtime_config_make(out, &r.o, r.type_wrong, before, v);
}

int runtime_config_from_json(struct runtime_config **out,
			     enum runtime_kind kind, const json_t *block,
			     struct buf *violations)
{
	struct violations v = { .out = violations };
	int r = runtime_config_read_json(out, kind, block, &v);

	return violations_end(&v) < 0 ? -ENOMEM : r;
}

/* --- the normal form ------------------------------------------------------ */

static json_t *list_json(const char *const *items)
{
	json_t *list = json_array();

	for (; list && items && *items; items++)
		if (json_array_append_new(list, json_string(*items))) {
			json_decref(list);
			return NULL;
		}
	return list;
}

static json_t *allow_json(const struct runtime_allow *allow)
{
	if (allow->all || !allow->items)
		return json_boolean(allow->all);
	return list_json(allow->items);
}

static json_t *permissions_json(const struct runtime_permissions *p)
{
	return json_pack("{s:o,s:o,s:o,s:o,s:b}", "net", allow_json(&p->net),
			 "read", allow_json(&p->read), "write",
			 allow_json(&p->write), "env", allow_json(&p->env),
			 "run", p->run);
}

static json_t *backoff_json(const struct runtime_config_options *o)
{
	return json_pack("{s:I,s:I,s:I}", "initial",
			 (json_int_t)o->backoff_initial_ms, "max",
			 (json_int_t)o->backoff_max_ms, "max_elapsed",
			 (json_int_t)o->backoff_max_elapsed_ms);
}

json_t *runtime_config_json(const struct runtime_config *c)
{
	const struct runtime_config_options *o = runtime_config_get(c);
	char perm[sizeof("0777")];

	snprintf(perm, sizeof(perm), "0%03o", o->worker_file_perm & 0777U);
	return json_pack("{s:s,s:s?,s:s,s:o,s:o,s:I,s:I,s:I,s:I,s:o,s:s,"
			 "s:{s:b,s:b}}",
			 "type", o->type, "entrypoint", o->entrypoint,
			 "environment", o->environment, "permissions",
			 permissions_json(&o->permissions), "node_options",
			 list_json(o->node_options), "max_memory_mb",
			 (json_int_t)o->max_memory_mb, "timeout",
			 (json_int_t)o->timeout_ms, "max_stderr_capture",
			 (json_int_t)o->max_stderr_bytes, "retries",
			 (json_int_t)o->retries, "backoff", backoff_json(o),
			 "worker_file_perm", perm, "native_tools",
			 "call_agents", !o->no_call_agents, "call_workflows",
			 !o->no_call_workflows);
}
