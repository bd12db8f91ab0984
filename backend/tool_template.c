#include "backend/tool_template.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "backend/tool_json.h"
#include "backend/tool_reference.h"
#include "backend/tool_schema.h"
#include "backend/tool_violations.h"
#include "common/json.h"
#include "common/percent.h"

/* A string: text, reference, text, … One that is a reference and nothing
 * else has `whole`. */
struct tool_template_piece {
	char *text; /* before the reference; never NULL */
	bool has_reference;
	struct tool_reference reference;
};

struct tool_template_member {
	char *name; /* NULL in arrays */
	struct tool_template *value;
};

struct tool_template {
	enum tool_template_place place;
	/* Exactly one of these four. */
	json_t *constant; /* nothing to fill in */
	struct tool_template_piece *pieces;
	struct tool_template_member *items, *members;
	size_t n;
	bool whole;
};

/* --- compiling ----------------------------------------------------------- */

struct tool_template_compile {
	enum tool_template_place place;
	const struct tool_template_scope *scope;
	struct tool_path *path;
	struct tool_violations *violations;
	unsigned int depth;
	int error; /* -ENOMEM */
};

static struct tool_template *tool_template_read(struct tool_template_compile *c,
						const json_t *source);

static void tool_template_members_free(struct tool_template_member *m, size_t n)
{
	for (size_t i = 0; m && i < n; i++) {
		free(m[i].name);
		tool_template_free(m[i].value);
	}
	free(m);
}

void tool_template_free(struct tool_template *t)
{
	if (!t)
		return;
	json_decref(t->constant);
	for (size_t i = 0; t->pieces && i < t->n; i++) {
		free(t->pieces[i].text);
		tool_reference_deinit(&t->pieces[i].reference);
	}
	free(t->pieces);
	tool_template_members_free(t->items, t->n);
	tool_template_members_free(t->members, t->n);
	free(t);
}

/* Appends text in which "{{{{" stands for "{{". */
static char *tool_template_literal(const char *s, size_t len)
{
	char *out = malloc(len + 1);
	size_t n = 0;

	for (size_t i = 0; out && i < len; i++) {
		out[n++] = s[i];
		if (len - i >= 4 && !memcmp(s + i, "{{{{", 4)) {
			out[n++] = '{';
			i += 3;
		}
	}
	if (out)
		out[n] = '\0';
	return out;
}

/* Where the next reference opens; NULL: nowhere. */
static const char *tool_template_opening(const char *s)
{
	while ((s = strstr(s, "{{")) && s[2] == '{' && s[3] == '{')
		s += 4;
	return s;
}

/* One piece from *s on, which moves to what is left, NULL at the end. */
static int tool_template_read_piece(struct tool_template_compile *c,
				    const char **s,
				    struct tool_template_piece *out)
{
	const char *open = tool_template_opening(*s), *close = NULL;

	out->text = tool_template_literal(*s, open ? (size_t)(open - *s)
						   : strlen(*s));
	if (!out->text)
		return -ENOMEM;
	*s = NULL;
	if (!open)
		return 0;
	close = strstr(open, "}}");
	if (!close) {
		tool_violations_add(c->violations, c->path->text,
				    "\"%.40s\" opens a reference that no }} "
				    "closes; write {{{{ for a literal {{",
				    open);
		return TOOL_E_INVALID;
	}
	out->has_reference = true;
	*s = close + 2;
	return tool_reference_parse(open + 2, (size_t)(close - open - 2),
				    c->scope, c->path, c->violations,
				    &out->reference);
}

/* The string's pieces; a piece that is wrong does not hide the next. */
static void tool_template_read_pieces(struct tool_template_compile *c,
				      struct tool_template *t, const char *s)
{
	t->pieces = calloc(TOOL_TEMPLATE_REFERENCES_MAX + 1,
			   sizeof(*t->pieces));
	if (!t->pieces)
		c->error = -ENOMEM;
	while (s && !c->error) {
		int r;

		if (t->n > TOOL_TEMPLATE_REFERENCES_MAX) {
			tool_violations_add(c->violations, c->path->text,
					    "has more than %d references",
					    TOOL_TEMPLATE_REFERENCES_MAX);
			return;
		}
		r = tool_template_read_piece(c, &s, &t->pieces[t->n++]);
		if (r < 0)
			c->error = r;
	}
	t->whole = t->n == 2 && t->pieces[0].has_reference &&
		   !*t->pieces[0].text && !t->pieces[1].has_reference &&
		   t->pieces[1].text && !*t->pieces[1].text;
}

static void tool_template_read_string(struct tool_template_compile *c,
				      struct tool_template *t,
				      const json_t *source)
{
	const char *s = json_string_value(source);

	if (json_string_length(source) > TOOL_TEMPLATE_STRING_MAX_BYTES)
		tool_violations_add(c->violations, c->path->text,
				    "has %zu bytes, at most %d can be",
				    json_string_length(source),
				    TOOL_TEMPLATE_STRING_MAX_BYTES);
	else if (!strstr(s, "{{"))
		t->constant = json_incref((json_t *)source);
	else
		tool_template_read_pieces(c, t, s);
}

static void tool_template_read_array(struct tool_template_compile *c,
				     struct tool_template *t,
				     const json_t *source)
{
	const json_t *item;
	size_t i;

	t->items = calloc(json_array_size(source) + 1, sizeof(*t->items));
	if (!t->items)
		c->error = -ENOMEM;
	json_array_foreach(source, i, item) {
		size_t before = tool_path_push_index(c->path, i);

		if (!c->error)
			t->items[t->n++].value = tool_template_read(c, item);
		tool_path_pop(c->path, before);
	}
}

static void tool_template_read_object(struct tool_template_compile *c,
				      struct tool_template *t,
				      const json_t *source)
{
	const char *name;
	json_t *v;

	t->members = calloc(json_object_size(source) + 1, sizeof(*t->members));
	if (!t->members)
		c->error = -ENOMEM;
	json_object_foreach((json_t *)source, name, v) {
		size_t before = tool_path_push(c->path, name);
		struct tool_template_member *m;

		if (strstr(name, "{{"))
			tool_violations_add(c->violations, c->path->text,
					    "a name cannot have a reference");
		if (!c->error) {
			m = &t->members[t->n++];
			m->name = strdup(name);
			m->value = tool_template_read(c, v);
			if (!m->name)
				c->error = -ENOMEM;
		}
		tool_path_pop(c->path, before);
	}
}

/* Whether nothing in the tree is to be filled in. */
static bool tool_template_is_constant(const struct tool_template *t)
{
	const struct tool_template_member *m = t->items ? t->items : t->members;

	if (!m)
		return t->constant != NULL;
	for (size_t i = 0; i < t->n; i++)
		if (!m[i].value || !m[i].value->constant)
			return false;
	return true;
}

static struct tool_template *tool_template_read(struct tool_template_compile *c,
						const json_t *source)
{
	struct tool_template *t = calloc(1, sizeof(*t));

	if (!t) {
		c->error = -ENOMEM;
		return NULL;
	}
	t->place = c->place;
	if (++c->depth > TOOL_TEMPLATE_DEPTH_MAX)
		tool_violations_add(c->violations, c->path->text,
				    "is nested more than %d deep",
				    TOOL_TEMPLATE_DEPTH_MAX);
	else if (json_is_string(source))
		tool_template_read_string(c, t, source);
	else if (json_is_array(source))
		tool_template_read_array(c, t, source);
	else if (json_is_object(source))
		tool_template_read_object(c, t, source);
	else
		t->constant = json_incref((json_t *)source);
	c->depth--;
	if (!t->constant && tool_template_is_constant(t))
		t->constant = json_incref((json_t *)source);
	return t;
}

int tool_template_compile(const json_t *source, enum tool_template_place place,
			  const struct tool_template_scope *scope,
			  struct tool_path *path, struct tool_violations *v,
			  struct tool_template **out)
{
	struct tool_template_compile c = {
		.place = place,
		.scope = scope,
		.path = path,
		.violations = v,
	};
	size_t before = v->found;
	struct tool_template *t = tool_template_read(&c, source);

	if (!c.error)
		c.error = v->error;
	if (!c.error && v->found == before) {
		*out = t;
		return 0;
	}
	tool_template_free(t);
	return c.error ? c.error : TOOL_E_INVALID;
}

const json_t *tool_template_constant(const struct tool_template *t)
{
	return t->constant;
}

bool tool_template_source(const struct tool_template *t,
			  struct tool_path *place)
{
	tool_path_init(place, "");
	if (t && t->whole)
		tool_reference_place(&t->pieces[0].reference, place);
	return t && t->whole;
}

/* --- rendering ----------------------------------------------------------- */

struct tool_template_render {
	const struct tool_template_values *values;
	struct tool_violations *violations;
	size_t room; /* bytes that may still be inserted */
	int error;   /* -ENOMEM */
};

/* NULL and no error: absent. */
static json_t *tool_template_fill(struct tool_template_render *r,
				  const struct tool_template *t);

static void tool_template_refuse(struct tool_template_render *r,
				 const struct tool_reference *ref,
				 const char *why)
{
	char name[TOOL_REFERENCE_MAX_BYTES + 1];
	struct tool_path place;

	tool_reference_text(ref, name, sizeof(name));
	tool_reference_place(ref, &place);
	tool_violations_add(r->violations, place.text, "{{%s}} %s", name, why);
}

static bool tool_template_spend(struct tool_template_render *r,
				const struct tool_reference *ref, size_t bytes)
{
	if (bytes <= r->room) {
		r->room -= bytes;
		return true;
	}
	r->room = 0;
	tool_template_refuse(r, ref, "makes the request too big");
	return false;
}

static bool tool_has_control(const char *s, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if (((unsigned char)s[i] < 0x20 && s[i] != '\t') ||
		    s[i] == 0x7f)
			return true;
	return false;
}

/* What fits a place whatever it is inserted as. */
static bool tool_template_check_place(struct tool_template_render *r,
				      const struct tool_reference *ref,
				      enum tool_template_place place,
				      const json_t *v)
{
	if (place != TOOL_TEMPLATE_HEADER || !json_is_string(v) ||
	    !tool_has_control(json_string_value(v), json_string_length(v)))
		return true;
	tool_template_refuse(r, ref,
			     "must not have line breaks or other control "
			     "characters here");
	return false;
}

/* Appends v as text. */
static int tool_template_text(struct buf *out, const json_t *v)
{
	if (json_is_string(v))
		return buf_append(out, json_string_value(v),
				  json_string_length(v));
	return tool_json_append(out, v);
}

/* The reference's value as text; a mask is to be read, not sent. */
static int tool_template_insert(struct tool_template_render *r,
				const struct tool_template *t,
				const struct tool_reference *ref,
				const json_t *v, struct buf *out)
{
	struct buf text = { 0 };
	int e = tool_template_text(&text, v);
	bool mask = r->values->masked && tool_reference_is(ref, "credentials");

	if (e == -EINVAL)
		tool_template_refuse(r, ref, "is nested too deep");
	else if (e == 0 && tool_template_spend(r, ref, text.len) &&
		 tool_template_check_place(r, ref, t->place, v)) {
		if (t->place == TOOL_TEMPLATE_URL && !mask)
			e = buf_cstr(&text)
				    ? percent_append(out, (char *)text.data)
				    : -ENOMEM;
		else
			e = buf_append(out, text.data, text.len);
	}
	buf_deinit_secret(&text);
	return e == -EINVAL ? 0 : e;
}

static json_t *tool_template_join(struct tool_template_render *r,
				  const struct tool_template *t)
{
	struct buf out = { 0 };
	json_t *s = NULL;

	for (size_t i = 0; i < t->n && !r->error; i++) {
		const struct tool_template_piece *p = &t->pieces[i];
		_cleanup_json_ json_t *v = NULL;

		r->error = buf_append_str(&out, p->text);
		if (p->has_reference && !r->error)
			v = tool_reference_value(&p->reference, r->values,
						 &r->error);
		if (v && !r->error)
			r->error = tool_template_insert(r, t, &p->reference, v,
							&out);
	}
	if (!r->error) {
		s = json_stringn(out.len ? (char *)out.data : "", out.len);
		if (!s)
			r->error = -ENOMEM;
	}
	buf_deinit_secret(&out);
	return s;
}

/* A reference that is the whole string: the value itself. */
static json_t *tool_template_whole(struct tool_template_render *r,
				   const struct tool_template *t)
{
	const struct tool_reference *ref = &t->pieces[0].reference;
	json_t *v = tool_reference_value(ref, r->values, &r->error);

	if (v && tool_template_check_place(r, ref, t->place, v))
		tool_template_spend(r, ref,
				    json_dumpb(v, NULL, 0,
					       JSON_COMPACT | JSON_ENCODE_ANY));
	return v;
}

static json_t *tool_template_fill_array(struct tool_template_render *r,
					const struct tool_template *t)
{
	json_t *list = json_array();

	if (!list)
		r->error = -ENOMEM;
	for (size_t i = 0; i < t->n && !r->error; i++) {
		json_t *v = tool_template_fill(r, t->items[i].value);

		if (v && json_array_append_new(list, v))
			r->error = -ENOMEM;
	}
	return list;
}

static json_t *tool_template_fill_object(struct tool_template_render *r,
					 const struct tool_template *t)
{
	json_t *object = json_object();

	if (!object)
		r->error = -ENOMEM;
	for (size_t i = 0; i < t->n && !r->error; i++) {
		json_t *v = tool_template_fill(r, t->members[i].value);

		if (v && json_object_set_new(object, t->members[i].name, v))
			r->error = -ENOMEM;
	}
	return object;
}

static json_t *tool_template_fill(struct tool_template_render *r,
				  const struct tool_template *t)
{
	if (t->constant)
		return json_incref(t->constant);
	if (t->items)
		return tool_template_fill_array(r, t);
	if (t->members)
		return tool_template_fill_object(r, t);
	return t->whole ? tool_template_whole(r, t) : tool_template_join(r, t);
}

int tool_template_render(const struct tool_template *t,
			 const struct tool_template_values *values,
			 struct tool_violations *v, json_t **out)
{
	struct tool_template_render r = {
		.values = values,
		.violations = v,
		.room = TOOL_TEMPLATE_RENDERED_MAX_BYTES,
	};
	size_t before = v->found;
	json_t *value = tool_template_fill(&r, t);

	if (!r.error)
		r.error = v->error;
	if (!r.error && v->found == before) {
		*out = value;
		return 0;
	}
	json_decref(value);
	return r.error ? r.error : TOOL_E_INVALID;
}
