#include "backend/tool_mask.h"

#include <errno.h>
#include <string.h>

#include "common/json.h"
#include "common/redact.h"

struct tool_mask {
	struct redactor *redactor;
	struct redact_stream *stream;
};

int tool_mask_new(struct tool_mask **out)
{
	struct tool_mask *m = calloc(1, sizeof(*m));
	int r;

	if (!m)
		return -ENOMEM;
	r = redactor_new(&m->redactor);
	if (!r)
		r = redact_stream_new(&m->stream, m->redactor);
	if (r) {
		tool_mask_free(m);
		return r;
	}
	*out = m;
	return 0;
}

void tool_mask_free(struct tool_mask *m)
{
	if (!m)
		return;
	if (m->stream)
		redact_stream_free(m->stream);
	if (m->redactor)
		redactor_free(m->redactor);
	free(m);
}

int tool_mask_add(struct tool_mask *m, const void *value, size_t len)
{
	int r = redactor_add(m->redactor, value, len);

	if (r == REDACT_E_FULL)
		return -ENOBUFS;
	return r == REDACT_E_SHORT ? 0 : r;
}

int tool_mask_text(struct tool_mask *m, const char *text, size_t len,
		   struct buf *out)
{
	int r = redact_stream_feed(m->stream, text, len, out);

	return r ? r : redact_stream_flush(m->stream, out);
}

static json_t *mask_string(struct tool_mask *m, const char *s, size_t len)
{
	_cleanup_(buf_deinit) struct buf out = { 0 };

	if (tool_mask_text(m, s, len, &out))
		return NULL;
	/* Secrets are whole characters, so what is left is UTF-8. */
	return json_stringn(out.len ? (char *)out.data : "", out.len);
}

static json_t *mask_number(struct tool_mask *m, const json_t *value)
{
	_cleanup_(buf_deinit) struct buf out = { 0 };
	_cleanup_free_ char *text = json_dumps(value, JSON_ENCODE_ANY);

	if (!text || tool_mask_text(m, text, strlen(text), &out))
		return NULL;
	if (out.len == strlen(text) && !memcmp(out.data, text, out.len))
		return json_copy((json_t *)value);
	return json_stringn((char *)out.data, out.len);
}

static json_t *mask_array(struct tool_mask *m, const json_t *value)
{
	json_t *out = json_array(), *item;
	size_t i;

	json_array_foreach((json_t *)value, i, item)
		if (json_array_append_new(out, tool_mask_json(m, item))) {
			json_decref(out);
			return NULL;
		}
	return out;
}

static json_t *mask_object(struct tool_mask *m, const json_t *value)
{
	json_t *out = json_object(), *item;
	const char *key;

	json_object_foreach((json_t *)value, key, item) {
		json_t *name = mask_string(m, key, strlen(key));
		int r = !name ? -1
			      : json_object_set_new(out,
						    json_string_value(name),
						    tool_mask_json(m, item));

		json_decref(name);
		if (r) {
			json_decref(out);
			return NULL;
		}
	}
	return out;
}

json_t *tool_mask_json(struct tool_mask *m, const json_t *value)
{
	switch (json_typeof(value)) {
	case JSON_STRING:
		return mask_string(m, json_string_value(value),
				   json_string_length(value));
	case JSON_INTEGER:
	case JSON_REAL:
		return mask_number(m, value);
	case JSON_ARRAY:
		return mask_array(m, value);
	case JSON_OBJECT:
		return mask_object(m, value);
	default:
		return json_incref((json_t *)value);
	}
}
