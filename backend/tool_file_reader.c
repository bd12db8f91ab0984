#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "backend/tool_file_impl.h"
#include "common/json.h"

#define TOOL_STATUS_MIN 100
#define TOOL_STATUS_MAX 599
#define TOOL_STATUS_ITEMS_MAX 32

const json_t *tool_reader_enter(struct tool_reader *r, const json_t *object,
				const char *name, size_t *before)
{
	const json_t *v = json_object_get(object, name);

	if (v)
		*before = tool_path_push(&r->path, name);
	return v;
}

void tool_reader_leave(struct tool_reader *r, size_t before)
{
	tool_path_pop(&r->path, before);
}

static bool tool_reader_known(const char *const *names, const char *name)
{
	for (; *names; names++)
		if (!strcmp(*names, name))
			return true;
	return false;
}

static void tool_reader_say_unknown(struct tool_reader *r, const char *name,
				    const char *const *names)
{
	char known[256] = "";
	size_t len = 0, before = tool_path_push(&r->path, name);

	for (size_t i = 0; names[i] && len < sizeof(known); i++)
		len += (size_t)snprintf(known + len, sizeof(known) - len,
					"%s%s", i ? ", " : "", names[i]);
	tool_reader_say(r, "is not known here; known are %s", known);
	tool_reader_leave(r, before);
}

bool tool_reader_object(struct tool_reader *r, const json_t *v,
			const char *const *names)
{
	const char *name;
	json_t *member;
	bool ok = true;

	if (!json_is_object(v)) {
		tool_reader_say(r, "must be an object, not %s",
				json_type_name(v));
		return false;
	}
	json_object_foreach((json_t *)v, name, member) {
		if (tool_reader_known(names, name))
			continue;
		tool_reader_say_unknown(r, name, names);
		ok = false;
	}
	return ok;
}

static bool tool_is_line(const char *s)
{
	for (; *s; s++)
		if ((unsigned char)*s < 0x20 || *s == 0x7f)
			return false;
	return true;
}

char *tool_reader_line(struct tool_reader *r, const json_t *object,
		       const char *name, size_t max_bytes)
{
	size_t before;
	const json_t *v = tool_reader_enter(r, object, name, &before);
	char *s = NULL;

	if (!v)
		return NULL;
	if (!json_is_string(v))
		tool_reader_say(r, "must be a string, not %s",
				json_type_name(v));
	else if (json_string_length(v) == 0 ||
		 json_string_length(v) > max_bytes)
		tool_reader_say(r, "must have 1 to %zu bytes, not %zu",
				max_bytes, json_string_length(v));
	else if (!tool_is_line(json_string_value(v)))
		tool_reader_say(r, "must be one line without control "
				   "characters");
	else if (!(s = strdup(json_string_value(v))))
		r->error = -ENOMEM;
	tool_reader_leave(r, before);
	return s;
}

bool tool_reader_bool(struct tool_reader *r, const json_t *object,
		      const char *name, bool def)
{
	size_t before;
	const json_t *v = tool_reader_enter(r, object, name, &before);

	if (!v)
		return def;
	if (!json_is_boolean(v))
		tool_reader_say(r, "must be true or false, not %s",
				json_type_name(v));
	tool_reader_leave(r, before);
	return json_is_true(v);
}

int64_t tool_reader_int(struct tool_reader *r, const json_t *object,
			const char *name, int64_t min, int64_t max, int64_t def)
{
	size_t before;
	const json_t *v = tool_reader_enter(r, object, name, &before);
	int64_t n = def;

	if (!v)
		return def;
	if (!json_is_integer(v))
		tool_reader_say(r, "must be a whole number, not %s",
				json_type_name(v));
	else if (json_integer_value(v) < min || json_integer_value(v) > max)
		tool_reader_say(r, "must be %lld to %lld, not %lld",
				(long long)min, (long long)max,
				(long long)json_integer_value(v));
	else
		n = json_integer_value(v);
	tool_reader_leave(r, before);
	return n;
}

struct tool_template *tool_reader_template(struct tool_reader *r,
					   const json_t *object,
					   const char *name,
					   enum tool_template_place place)
{
	size_t before;
	const json_t *v = tool_reader_enter(r, object, name, &before);
	struct tool_template *t = NULL;
	int e;

	if (!v)
		return NULL;
	e = tool_template_compile(v, place, &r->scope, &r->path, r->violations,
				  &t);
	if (e < 0)
		r->error = e;
	tool_reader_leave(r, before);
	return t;
}

/* --- statuses ------------------------------------------------------------ */

bool tool_statuses_has(const struct tool_statuses *s, int status)
{
	unsigned int bit = (unsigned int)(status - TOOL_STATUS_MIN);

	if (status < TOOL_STATUS_MIN || status > TOOL_STATUS_MAX)
		return false;
	return s->bits[bit / 64] >> (bit % 64) & 1;
}

static void tool_statuses_add(struct tool_statuses *s, int from, int to)
{
	for (unsigned int bit = (unsigned int)(from - TOOL_STATUS_MIN);
	     bit <= (unsigned int)(to - TOOL_STATUS_MIN); bit++)
		s->bits[bit / 64] |= UINT64_C(1) << (bit % 64);
}

/* "200-299" */
static bool tool_statuses_range(const char *text, int *from, int *to)
{
	char *end;

	if (strspn(text, "0123456789-") != strlen(text) || strlen(text) > 7)
		return false;
	*from = (int)strtol(text, &end, 10);
	if (end == text || *end != '-')
		return false;
	text = end + 1;
	*to = (int)strtol(text, &end, 10);
	return end != text && !*end;
}

static void tool_reader_status(struct tool_reader *r, const json_t *v,
			       struct tool_statuses *out)
{
	int from = 0, to = 0;

	if (json_is_integer(v)) {
		json_int_t n = json_integer_value(v);

		from = to = n < 0 || n > TOOL_STATUS_MAX ? 0 : (int)n;
	} else if (json_is_string(v)) {
		if (!tool_statuses_range(json_string_value(v), &from, &to))
			from = to = 0;
	}
	if (from < TOOL_STATUS_MIN || to > TOOL_STATUS_MAX || from > to)
		tool_reader_say(r, "must be a status (200) or a range of them "
				   "(\"200-299\"), from 100 to 599");
	else
		tool_statuses_add(out, from, to);
}

bool tool_reader_statuses(struct tool_reader *r, const json_t *object,
			  const char *name, struct tool_statuses *out)
{
	size_t before, i;
	const json_t *v = tool_reader_enter(r, object, name, &before);
	const json_t *item;

	*out = (struct tool_statuses){ 0 };
	if (!v)
		return false;
	if (!json_is_array(v))
		tool_reader_status(r, v, out);
	else if (json_array_size(v) > TOOL_STATUS_ITEMS_MAX)
		tool_reader_say(r, "must have at most %d items",
				TOOL_STATUS_ITEMS_MAX);
	else
		json_array_foreach(v, i, item)
			tool_reader_status(r, item, out);
	tool_reader_leave(r, before);
	return true;
}
