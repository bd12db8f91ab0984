#include "cli/schema_view.h"

#include <string.h>

#include "cli/output.h"
#include "common/buf.h"
#include "common/json.h"

static bool schema_view_needed(const json_t *schema, const char *name)
{
	const json_t *required = json_object_get(schema, "required"), *item;
	size_t i;

	json_array_foreach(required, i, item)
		if (json_is_string(item) &&
		    !strcmp(name, json_string_value(item)))
			return true;
	return false;
}

/* "string", or the values that there are. 0 or -ENOMEM. */
static int schema_view_type(const json_t *p, struct buf *out)
{
	const json_t *choices = json_object_get(p, "enum"), *item;
	const json_t *constant = json_object_get(p, "const");
	size_t i;
	int r = 0;

	if (constant)
		return json_append(out, constant);
	if (!choices)
		return buf_append_str(out, json_get_str(p, "type", ""));
	json_array_foreach(choices, i, item) {
		const char *text = json_string_value(item);

		if (!r && i)
			r = buf_append_str(out, "|");
		if (!r)
			r = text ? buf_append_str(out, text)
				 : json_append(out, item);
	}
	return r;
}

static int schema_view_line(const json_t *schema, const char *name,
			    const json_t *p, struct buf *out)
{
	const json_t *initial = json_object_get(p, "default");
	const char *text = json_get_str(p, "description", NULL);
	size_t before;
	int r = buf_printf(out, "%s: ", name);

	before = out->len;
	if (!r)
		r = schema_view_type(p, out);
	if (!r && out->len == before)
		out->len -= 2;
	if (!r && schema_view_needed(schema, name))
		r = buf_append_str(out, ", needed");
	if (!r && initial && !(r = buf_append_str(out, ", default ")))
		r = json_append(out, initial);
	if (!r && text)
		r = buf_printf(out, "; %s", text);
	return r;
}

void schema_view_print(const json_t *schema)
{
	const json_t *properties = json_object_get(schema, "properties");
	const char *name;
	json_t *p;

	json_object_foreach((json_t *)(uintptr_t)properties, name, p) {
		_cleanup_(buf_deinit) struct buf line = { 0 };

		if (!schema_view_line(schema, name, p, &line) &&
		    buf_cstr(&line))
			output_text("    %s\n", buf_cstr(&line));
	}
}
