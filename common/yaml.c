#include "common/yaml.h"

#include <errno.h>
#include <limits.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <yaml.h>

#include "common/json.h"

#define YAML_NUMBER_MAX_BYTES 64

struct yaml_reader {
	yaml_parser_t parser;
	yaml_event_t event; /* the current one */
	bool has_event;
	unsigned int depth;
	char *err;
	size_t err_size;
};

static void yaml_say(struct yaml_reader *r, const yaml_mark_t *at,
		     const char *fmt, ...) PRINTF_LIKE(3, 4);

/* libyaml counts lines and columns from zero. */
static void yaml_say(struct yaml_reader *r, const yaml_mark_t *at,
		     const char *fmt, ...)
{
	char text[YAML_ERROR_MAX_BYTES];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	snprintf(r->err, r->err_size, "line %zu, column %zu: %s", at->line + 1,
		 at->column + 1, text);
}

static void yaml_say_memory(struct yaml_reader *r)
{
	snprintf(r->err, r->err_size, YAML_ERROR_MEMORY);
}

static void yaml_say_syntax(struct yaml_reader *r)
{
	const yaml_parser_t *p = &r->parser;

	if (p->error == YAML_MEMORY_ERROR)
		yaml_say_memory(r);
	else if (p->error == YAML_READER_ERROR)
		snprintf(r->err, r->err_size, "at byte %zu: %s",
			 p->problem_offset, p->problem);
	else
		yaml_say(r, &p->problem_mark, "%s%s%s",
			 p->context ? p->context : "", p->context ? ", " : "",
			 p->problem ? p->problem : "this is not YAML");
}

/* Makes the next event the current one. */
static bool yaml_next(struct yaml_reader *r)
{
	if (r->has_event)
		yaml_event_delete(&r->event);
	r->has_event = yaml_parser_parse(&r->parser, &r->event) == 1;
	if (!r->has_event)
		yaml_say_syntax(r);
	return r->has_event;
}

/* --- scalars ------------------------------------------------------------- */

static size_t yaml_digits(const char *s)
{
	return strspn(s, "0123456789");
}

/* JSON's grammar of a number. *real: it has a fraction or an exponent. */
static bool yaml_is_number(const char *s, bool *real)
{
	size_t n;

	*real = false;
	s += *s == '-';
	n = yaml_digits(s);
	if (n == 0 || (n > 1 && *s == '0'))
		return false;
	s += n;
	if (*s == '.') {
		*real = true;
		n = yaml_digits(++s);
		if (n == 0)
			return false;
		s += n;
	}
	if (*s == 'e' || *s == 'E') {
		*real = true;
		s++;
		s += *s == '-' || *s == '+';
		n = yaml_digits(s);
		if (n == 0)
			return false;
		s += n;
	}
	return *s == '\0';
}

/* jansson reads the number, so that both formats round alike. */
static json_t *yaml_number(struct yaml_reader *r, const char *text)
{
	json_error_t e;
	json_t *v = json_loads(text, JSON_DECODE_ANY, &e);

	if (!v && json_error_code(&e) == json_error_out_of_memory)
		yaml_say_memory(r);
	else if (!v)
		yaml_say(r, &r->event.start_mark,
			 "the number %.40s is too big: quote it to make it a "
			 "string",
			 text);
	return v;
}

static json_t *yaml_string(struct yaml_reader *r, const char *s, size_t len)
{
	json_t *v;

	if (memchr(s, '\0', len)) {
		yaml_say(r, &r->event.start_mark,
			 "the character U+0000 is not accepted");
		return NULL;
	}
	v = json_stringn(s, len);
	if (!v)
		yaml_say_memory(r);
	return v;
}

/* What a plain scalar without a tag means. */
static json_t *yaml_plain(struct yaml_reader *r, const char *s, size_t len)
{
	bool real;

	if (strlen(s) != len)
		return yaml_string(r, s, len);
	if (len == 0 || !strcmp(s, "~") || !strcmp(s, "null"))
		return json_null();
	if (!strcmp(s, "true") || !strcmp(s, "false"))
		return json_boolean(*s == 't');
	if (len < YAML_NUMBER_MAX_BYTES && yaml_is_number(s, &real))
		return yaml_number(r, s);
	return yaml_string(r, s, len);
}

/* Anchors make bombs, and tags make types that JSON does not have. */
static bool yaml_properties_ok(struct yaml_reader *r, const yaml_char_t *anchor,
			       const yaml_char_t *tag)
{
	const char *t = (const char *)tag;

	if (anchor)
		yaml_say(r, &r->event.start_mark,
			 "anchors are not accepted (&%.40s)",
			 (const char *)anchor);
	else if (t && strcmp(t, YAML_STR_TAG) != 0 && strcmp(t, "!") != 0)
		yaml_say(r, &r->event.start_mark,
			 "the tag %.60s is not accepted", t);
	else
		return true;
	return false;
}

static json_t *yaml_scalar(struct yaml_reader *r)
{
	const char *s = (const char *)r->event.data.scalar.value;
	size_t len = r->event.data.scalar.length;

	if (!yaml_properties_ok(r, r->event.data.scalar.anchor,
				r->event.data.scalar.tag))
		return NULL;
	if (r->event.data.scalar.style == YAML_PLAIN_SCALAR_STYLE &&
	    !r->event.data.scalar.tag)
		return yaml_plain(r, s, len);
	return yaml_string(r, s, len);
}

/* --- nodes --------------------------------------------------------------- */

static json_t *yaml_node(struct yaml_reader *r);

static json_t *yaml_sequence(struct yaml_reader *r)
{
	_cleanup_json_ json_t *list = json_array();

	if (!list) {
		yaml_say_memory(r);
		return NULL;
	}
	while (yaml_next(r) && r->event.type != YAML_SEQUENCE_END_EVENT) {
		json_t *item = yaml_node(r);

		if (!item)
			return NULL;
		if (json_array_append_new(list, item)) {
			yaml_say_memory(r);
			return NULL;
		}
	}
	return r->has_event ? json_incref(list) : NULL;
}

/* The key at hand, a new string; says what is wrong with it. */
static char *yaml_key(struct yaml_reader *r, const json_t *object)
{
	const char *s;
	char *key;

	if (r->event.type != YAML_SCALAR_EVENT) {
		yaml_say(r, &r->event.start_mark, "a key must be a string");
		return NULL;
	}
	s = (const char *)r->event.data.scalar.value;
	if (!yaml_properties_ok(r, r->event.data.scalar.anchor,
				r->event.data.scalar.tag))
		return NULL;
	if (strlen(s) != r->event.data.scalar.length) {
		yaml_say(r, &r->event.start_mark,
			 "the character U+0000 is not accepted");
		return NULL;
	}
	if (json_object_get(object, s)) {
		yaml_say(r, &r->event.start_mark,
			 "the key \"%.80s\" is there twice", s);
		return NULL;
	}
	key = strdup(s);
	if (!key)
		yaml_say_memory(r);
	return key;
}

static json_t *yaml_mapping(struct yaml_reader *r)
{
	_cleanup_json_ json_t *object = json_object();

	if (!object) {
		yaml_say_memory(r);
		return NULL;
	}
	while (yaml_next(r) && r->event.type != YAML_MAPPING_END_EVENT) {
		_cleanup_free_ char *key = yaml_key(r, object);
		json_t *value;

		if (!key || !yaml_next(r))
			return NULL;
		value = yaml_node(r);
		if (!value)
			return NULL;
		if (json_object_set_new(object, key, value)) {
			yaml_say_memory(r);
			return NULL;
		}
	}
	return r->has_event ? json_incref(object) : NULL;
}

static json_t *yaml_collection(struct yaml_reader *r)
{
	bool list = r->event.type == YAML_SEQUENCE_START_EVENT;
	json_t *v;

	if (!(list ? yaml_properties_ok(r, r->event.data.sequence_start.anchor,
					r->event.data.sequence_start.tag)
		   : yaml_properties_ok(r, r->event.data.mapping_start.anchor,
					r->event.data.mapping_start.tag)))
		return NULL;
	if (r->depth == YAML_DEPTH_MAX) {
		yaml_say(r, &r->event.start_mark, "more than %d levels",
			 YAML_DEPTH_MAX);
		return NULL;
	}
	r->depth++;
	v = list ? yaml_sequence(r) : yaml_mapping(r);
	r->depth--;
	return v;
}

/* Of the current event; on success the current event is the node's last. */
static json_t *yaml_node(struct yaml_reader *r)
{
	switch (r->event.type) {
	case YAML_SCALAR_EVENT:
		return yaml_scalar(r);
	case YAML_SEQUENCE_START_EVENT:
	case YAML_MAPPING_START_EVENT:
		return yaml_collection(r);
	case YAML_ALIAS_EVENT:
		yaml_say(r, &r->event.start_mark,
			 "aliases are not accepted (*%.40s)",
			 (const char *)r->event.data.alias.anchor);
		return NULL;
	default:
		yaml_say(r, &r->event.start_mark, "a value is expected");
		return NULL;
	}
}

/* --- documents ----------------------------------------------------------- */

/* Over an event that says nothing new. */
static bool yaml_skip(struct yaml_reader *r)
{
	return yaml_next(r);
}

/* The first document's value; an empty stream is null. */
static json_t *yaml_document(struct yaml_reader *r)
{
	_cleanup_json_ json_t *v = NULL;

	if (!yaml_skip(r) || !yaml_next(r)) /* the stream's start, then … */
		return NULL;
	if (r->event.type == YAML_STREAM_END_EVENT)
		return json_null();
	if (!yaml_next(r))
		return NULL;
	v = yaml_node(r);
	if (!v || !yaml_skip(r) || !yaml_next(r)) /* the document's end, … */
		return NULL;
	if (r->event.type != YAML_STREAM_END_EVENT) {
		yaml_say(r, &r->event.start_mark,
			 "one document is expected, a second begins here");
		return NULL;
	}
	return json_incref(v);
}

static bool yaml_size_ok(size_t len, char *err, size_t err_size)
{
	if (len <= YAML_TEXT_MAX_BYTES)
		return true;
	snprintf(err, err_size, "the text has %zu bytes, at most %d can be",
		 len, YAML_TEXT_MAX_BYTES);
	return false;
}

json_t *yaml_parse_text(const void *data, size_t len, char *err,
			size_t err_size)
{
	struct yaml_reader r = { .err = err, .err_size = err_size };
	json_t *v;

	if (!yaml_size_ok(len, err, err_size))
		return NULL;
	if (!yaml_parser_initialize(&r.parser)) {
		yaml_say_memory(&r);
		return NULL;
	}
	yaml_parser_set_encoding(&r.parser, YAML_UTF8_ENCODING);
	yaml_parser_set_input_string(&r.parser,
				     len ? data : (const uint8_t *)"", len);
	v = yaml_document(&r);
	if (r.has_event)
		yaml_event_delete(&r.event);
	yaml_parser_delete(&r.parser);
	return v;
}

/* --- JSON by the same rules ---------------------------------------------- */

static bool yaml_json_deeper(const json_t *v, unsigned int levels)
{
	const char *key;
	json_t *item;
	size_t i;

	if (!json_is_object(v) && !json_is_array(v))
		return false;
	if (levels == 0)
		return true;
	json_array_foreach(v, i, item)
		if (yaml_json_deeper(item, levels - 1))
			return true;
	json_object_foreach((json_t *)v, key, item)
		if (yaml_json_deeper(item, levels - 1))
			return true;
	return false;
}

static json_t *yaml_parse_json(const void *data, size_t len, char *err,
			       size_t err_size)
{
	_cleanup_json_ json_t *v = NULL;
	json_error_t e;

	if (!yaml_size_ok(len, err, err_size))
		return NULL;
	v = json_loadb(len ? data : "", len,
		       JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, &e);
	if (!v) {
		snprintf(err, err_size, "line %d, column %d: %s", e.line,
			 e.column,
			 json_error_code(&e) == json_error_null_character
				 ? "the character \\u0000 is not accepted"
				 : e.text);
		return NULL;
	}
	if (yaml_json_deeper(v, YAML_DEPTH_MAX)) {
		snprintf(err, err_size, "more than %d levels", YAML_DEPTH_MAX);
		return NULL;
	}
	return json_incref(v);
}

json_t *yaml_parse_named(const char *name, const void *data, size_t len,
			 char *err, size_t err_size)
{
	size_t n = strlen(name);

	if (n >= 5 && !strcmp(name + n - 5, ".json"))
		return yaml_parse_json(data, len, err, err_size);
	return yaml_parse_text(data, len, err, err_size);
}
