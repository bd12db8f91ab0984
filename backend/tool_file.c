#include "backend/tool_file.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "backend/tool_file_impl.h"
#include "backend/tool_reference.h"
#include "backend/tool_schema.h"
#include "common/json.h"
#include "common/var_key.h"
#include "common/yaml.h"

static void tool_credential_deinit(struct tool_credential *c)
{
	free(c->name);
	free(c->secret);
	free(c->summary);
	tool_reference_deinit(&c->from);
}

void tool_free(struct tool *t)
{
	if (!t)
		return;
	for (size_t i = 0; i < t->n_credentials; i++)
		tool_credential_deinit(&t->credentials[i]);
	for (size_t i = 0; i < t->n_actions; i++)
		tool_action_deinit(&t->actions[i]);
	free(t->credentials);
	free(t->actions);
	free(t->name);
	free(t->summary);
	free(t);
}

bool tool_name_valid(const char *name)
{
	size_t n = strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789-");

	return n > 0 && n <= TOOL_NAME_MAX_BYTES && !name[n] && name[0] != '-';
}

/* --- credentials --------------------------------------------------------- */

static bool tool_credential_name_valid(const char *name)
{
	size_t n = strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789-_");

	return n > 0 && n <= TOOL_NAME_MAX_BYTES && !name[n];
}

/* "params.a.b", of which "params" is dropped. Whether the action that uses it
 * has it is seen there. */
static void tool_credential_read_from(struct tool_reader *r,
				      const json_t *source,
				      struct tool_credential *c)
{
	size_t before;
	const json_t *v = tool_reader_enter(r, source, "from", &before);
	struct tool_reference *f = &c->from;
	int e = TOOL_E_INVALID;

	if (!v)
		return;
	if (json_is_string(v))
		e = tool_reference_parse(json_string_value(v),
					 json_string_length(v), &r->scope,
					 &r->path, r->violations, f);
	if (e < 0)
		r->error = e;
	if (e || !tool_reference_is(f, "params") || f->n_names < 2) {
		tool_reader_say(r, "must be params.NAME, the parameter that "
				   "names the secret");
		tool_reference_deinit(f);
	} else {
		free(f->names[0]);
		memmove(f->names, f->names + 1,
			--f->n_names * sizeof(*f->names));
	}
	tool_reader_leave(r, before);
}

static void tool_credential_read(struct tool_reader *r, const char *name,
				 const json_t *source,
				 struct tool_credential *c)
{
	static const char *const names[] = { "secret", "from", "optional",
					     "summary", NULL };

	if (!tool_credential_name_valid(name))
		tool_reader_say(r,
				"a credential's name has 1 to %d of a-z, "
				"0-9, - and _",
				TOOL_NAME_MAX_BYTES);
	c->name = strdup(name);
	if (!c->name)
		r->error = -ENOMEM;
	tool_reader_object(r, source, names);
	if (!json_is_object(source))
		return;
	c->secret = tool_reader_line(r, source, "secret", VAR_KEY_MAX_BYTES);
	if (c->secret && !var_key_valid(c->secret))
		tool_reader_say(r, "\"%.60s\" cannot be the key of a secret",
				c->secret);
	tool_credential_read_from(r, source, c);
	if (!json_object_get(source, "secret") ==
	    !json_object_get(source, "from"))
		tool_reader_say(r, "must have either secret or from");
	c->optional = tool_reader_bool(r, source, "optional", false);
	c->summary = tool_reader_line(r, source, "summary",
				      TOOL_SUMMARY_MAX_BYTES);
}

/* True for an object of at most max members; the path is at v. */
static bool tool_file_members(struct tool_reader *r, const json_t *v,
			      size_t max)
{
	if (!json_is_object(v))
		tool_reader_say(r, "must be an object, not %s",
				json_type_name(v));
	else if (json_object_size(v) > max)
		tool_reader_say(r, "must have at most %zu members, not %zu",
				max, json_object_size(v));
	else
		return true;
	return false;
}

static void tool_file_read_credentials(struct tool_reader *r,
				       const json_t *source, struct tool *t)
{
	size_t before;
	const json_t *v = tool_reader_enter(r, source, "credentials", &before);
	const char *name;
	json_t *item;

	if (!v)
		return;
	if (tool_file_members(r, v, TOOL_CREDENTIALS_MAX)) {
		t->credentials = calloc(TOOL_CREDENTIALS_MAX,
					sizeof(*t->credentials));
		if (!t->credentials)
			r->error = -ENOMEM;
		json_object_foreach((json_t *)v, name, item) {
			size_t here = tool_path_push(&r->path, name);

			if (!r->error)
				tool_credential_read(
					r, name, item,
					&t->credentials[t->n_credentials++]);
			tool_path_pop(&r->path, here);
		}
	}
	tool_reader_leave(r, before);
}

const char *tool_credential_named(const struct tool_credential *c,
				  const json_t *params)
{
	return json_string_value(
		tool_reference_follow(params, c->from.names, c->from.n_names));
}

/* --- the file ------------------------------------------------------------ */

static void tool_file_read_actions(struct tool_reader *r, const json_t *source,
				   struct tool *t)
{
	const json_t *v = json_object_get(source, "actions");
	size_t before = tool_path_push(&r->path, "actions");
	const char *name;
	json_t *item;

	if (!v || json_object_size(v) == 0)
		tool_reader_say(r, "must have at least one action");
	else if (tool_file_members(r, v, TOOL_ACTIONS_MAX))
		t->actions = calloc(json_object_size(v), sizeof(*t->actions));
	json_object_foreach((json_t *)v, name, item) {
		size_t here = tool_path_push(&r->path, name);

		if (t->actions && !r->error)
			tool_action_read(r, name, item,
					 &t->actions[t->n_actions++]);
		tool_path_pop(&r->path, here);
	}
	tool_path_pop(&r->path, before);
}

/* "dir/slack.yaml" is slack's. */
static bool tool_file_is_named(const char *file, const char *name)
{
	const char *base = strrchr(file, '/');
	size_t n = strlen(name);

	base = base ? base + 1 : file;
	return !strncmp(base, name, n) &&
	       (!strcmp(base + n, ".yaml") || !strcmp(base + n, ".yml") ||
		!strcmp(base + n, ".json"));
}

static void tool_file_read_name(struct tool_reader *r, const json_t *source,
				const char *file, struct tool *t)
{
	size_t before;

	t->name = tool_reader_line(r, source, "name", TOOL_NAME_MAX_BYTES);
	before = tool_path_push(&r->path, "name");
	if (!json_object_get(source, "name"))
		tool_reader_say(r, "is required");
	else if (t->name && !tool_name_valid(t->name))
		tool_reader_say(r,
				"must have 1 to %d of a-z, 0-9 and -, not "
				"\"%.40s\"",
				TOOL_NAME_MAX_BYTES, t->name);
	else if (t->name && !tool_file_is_named(file, t->name))
		tool_reader_say(r,
				"must be the file's: the tool %s is in "
				"%s.yaml or %s.json",
				t->name, t->name, t->name);
	tool_path_pop(&r->path, before);
}

static void tool_file_read(struct tool_reader *r, const json_t *source,
			   const char *file, struct tool *t)
{
	static const char *const names[] = { "name", "summary", "credentials",
					     "actions", NULL };

	tool_reader_object(r, source, names);
	if (!json_is_object(source))
		return;
	tool_file_read_name(r, source, file, t);
	t->summary = tool_reader_line(r, source, "summary",
				      TOOL_SUMMARY_MAX_BYTES);
	tool_file_read_credentials(r, source, t);
	r->scope.credentials = json_object_get(source, "credentials");
	tool_file_read_actions(r, source, t);
}

static int tool_file_read_tree(const json_t *source, const char *file,
			       struct tool_violations *v, struct tool **out)
{
	struct tool_reader r = { .violations = v };
	struct tool_schema *any = NULL;
	struct tool *t = calloc(1, sizeof(*t));
	size_t before = v->found;

	tool_path_init(&r.path, "");
	if (!t || tool_schema_compile(json_true(), &r.path, v, &any)) {
		free(t);
		return -ENOMEM;
	}
	r.scope.params = any; /* until an action has its own */
	tool_file_read(&r, source, file, t);
	tool_schema_free(any);
	if (!r.error)
		r.error = v->error;
	if (!r.error && v->found == before) {
		*out = t;
		return 0;
	}
	tool_free(t);
	return r.error ? r.error : TOOL_E_INVALID;
}

int tool_file_load(const char *file, const void *text, size_t len,
		   struct tool_violations *v, struct tool **out)
{
	char err[YAML_ERROR_MAX_BYTES];
	_cleanup_json_ json_t *source = yaml_parse_named(file, text, len, err,
							 sizeof(err));

	if (source)
		return tool_file_read_tree(source, file, v, out);
	tool_violations_add(v, "", "%s", err);
	return v->error ? v->error : TOOL_E_INVALID;
}

const struct tool_action *tool_action_find(const struct tool *t,
					   const char *name)
{
	for (size_t i = 0; i < t->n_actions; i++)
		if (!strcmp(t->actions[i].name, name))
			return &t->actions[i];
	return NULL;
}
