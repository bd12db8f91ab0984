#include "backend/tool_violations.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

void tool_violations_deinit(struct tool_violations *v)
{
	json_decref(v->list);
	*v = (struct tool_violations){ 0 };
}

/* As a JSON string; a cut may have left half a character at its end. */
static json_t *tool_message_json(char *text)
{
	json_t *s = json_string(text);
	size_t n = strlen(text);

	/* Cuts within the text (%.40s) leave halves elsewhere too. */
	for (size_t i = 0; !s && i < n; i++)
		if ((unsigned char)text[i] >= 0x80)
			text[i] = '?';
	return s ? s : json_string(text);
}

void tool_violations_add(struct tool_violations *v, const char *path,
			 const char *fmt, ...)
{
	char message[TOOL_VIOLATION_MESSAGE_MAX_BYTES];
	char where[TOOL_PATH_MAX_BYTES];
	json_t *entry;
	va_list ap;

	if (++v->found > TOOL_VIOLATIONS_MAX || v->error)
		return;
	va_start(ap, fmt);
	vsnprintf(message, sizeof(message), fmt, ap);
	va_end(ap);
	snprintf(where, sizeof(where), "%s", path);
	if (!v->list)
		v->list = json_array();
	entry = json_pack("{so so}", "path", tool_message_json(where),
			  "message", tool_message_json(message));
	if (!v->list) {
		json_decref(entry);
		v->error = -ENOMEM;
	} else if (!entry || json_array_append_new(v->list, entry)) {
		v->error = -ENOMEM;
	}
}

int tool_violations_text(const struct tool_violations *v, struct buf *out)
{
	const json_t *entry;
	size_t i;
	int r = 0;

	json_array_foreach(v->list, i, entry) {
		const char *path = json_string_value(
			json_object_get(entry, "path"));
		const char *message = json_string_value(
			json_object_get(entry, "message"));

		if (r == 0)
			r = buf_printf(out, "%s%s%s%s", i ? "; " : "", path,
				       *path ? ": " : "", message);
	}
	if (r == 0 && v->found > json_array_size(v->list))
		r = buf_printf(out, "; and %zu more",
			       v->found - json_array_size(v->list));
	return r;
}

void tool_path_init(struct tool_path *p, const char *start)
{
	p->len = (size_t)snprintf(p->text, sizeof(p->text), "%s", start);
	p->len = MIN(p->len, sizeof(p->text) - 1);
}

static void tool_path_put(struct tool_path *p, const char *s)
{
	size_t n = strlen(s);

	if (p->len + n >= sizeof(p->text))
		return;
	memcpy(p->text + p->len, s, n + 1);
	p->len += n;
}

size_t tool_path_push(struct tool_path *p, const char *name)
{
	size_t before = p->len;

	tool_path_put(p, "/");
	for (; *name; name++) {
		char c[2] = { *name, '\0' };

		tool_path_put(p, *name == '~' ? "~0" : *name == '/' ? "~1" : c);
	}
	return before;
}

size_t tool_path_push_index(struct tool_path *p, size_t index)
{
	char digits[24];

	snprintf(digits, sizeof(digits), "%zu", index);
	return tool_path_push(p, digits);
}

void tool_path_pop(struct tool_path *p, size_t len)
{
	p->len = len;
	p->text[len] = '\0';
}
