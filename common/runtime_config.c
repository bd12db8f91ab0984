#include "common/runtime_config.h"

#include <ctype.h>
#include <errno.h>
#include <stdint.h>
#include <string.h>

#include "common/runtime_config_impl.h"

/* One block: this, the arrays of the lists, then all the strings. */
struct runtime_config {
	struct runtime_config_options o;
	enum runtime_type type;
	const char *pointers[];
};

static const char *const runtime_types[] = {
	[RUNTIME_PYTHON] = "python",
	[RUNTIME_BASH] = "bash",
	[RUNTIME_NODE] = "node",
	[RUNTIME_BUN] = "bun",
};

const char *runtime_type_name(enum runtime_type type)
{
	return runtime_types[type];
}

int runtime_type_parse(const char *s, enum runtime_type *out)
{
	size_t len;

	while (isspace((unsigned char)*s))
		s++;
	len = strlen(s);
	while (len && isspace((unsigned char)s[len - 1]))
		len--;
	for (size_t i = 0; i < ARRAY_SIZE(runtime_types); i++)
		if (strlen(runtime_types[i]) == len &&
		    !strncasecmp(s, runtime_types[i], len)) {
			*out = (enum runtime_type)i;
			return 0;
		}
	return -EINVAL;
}

const char *runtime_type_name_by_suffix(const char *file)
{
	static const struct {
		const char *suffix;
		enum runtime_type type;
	} suffixes[] = {
		{ ".py", RUNTIME_PYTHON }, { ".js", RUNTIME_NODE },
		{ ".mjs", RUNTIME_NODE },  { ".cjs", RUNTIME_NODE },
		{ ".sh", RUNTIME_BASH },   { ".bash", RUNTIME_BASH },
		{ ".ts", RUNTIME_BUN },    { ".mts", RUNTIME_BUN },
		{ ".cts", RUNTIME_BUN },
	};
	const char *dot = strrchr(file, '.');

	for (size_t i = 0; dot && i < ARRAY_SIZE(suffixes); i++)
		if (!strcmp(dot, suffixes[i].suffix))
			return runtime_types[suffixes[i].type];
	return NULL;
}

static void set_default_u32(uint32_t *value, uint32_t def)
{
	if (!*value)
		*value = def;
}

/* Those of the members that are not copied. */
static void config_set_defaults(struct runtime_config_options *o)
{
	struct runtime_permissions *p = &o->permissions;

	if (p->all) {
		p->net = p->read = p->write = p->env = RUNTIME_ALLOW_ALL;
		p->run = true;
	}
	p->all = p->net.all && p->read.all && p->write.all && p->env.all &&
		 p->run;
	if (!o->environment)
		o->environment = "production";
	if (!o->timeout_ms && o->kind == RUNTIME_KIND_TOOL)
		o->timeout_ms = RUNTIME_TOOL_TIMEOUT_MS;
	if (!o->max_stderr_bytes)
		o->max_stderr_bytes = RUNTIME_STDERR_BYTES;
	set_default_u32(&o->max_memory_mb, RUNTIME_MEMORY_MB);
	set_default_u32(&o->backoff_initial_ms, RUNTIME_BACKOFF_INITIAL_MS);
	set_default_u32(&o->backoff_max_ms, RUNTIME_BACKOFF_MAX_MS);
	set_default_u32(&o->backoff_max_elapsed_ms,
			RUNTIME_BACKOFF_MAX_ELAPSED_MS);
	set_default_u32(&o->worker_file_perm, RUNTIME_FILE_PERM);
}

static void config_check_type(const struct runtime_config_options *o,
			      bool known, struct violations *v)
{
	if (!known && o->type)
		violations_add(v, "type",
			       "must be one of python, bash, node, bun, not "
			       "\"%.40s\"",
			       o->type);
	else if (!known)
		violations_add(v, "type",
			       "is needed: python, bash, node or bun");
}

int runtime_config_make(struct runtime_config **out,
			const struct runtime_config_options *o, bool said,
			unsigned int before, struct violations *v)
{
	_cleanup_(runtime_config_freep) struct runtime_config *c = NULL;
	enum runtime_type type = RUNTIME_PYTHON;
	bool known = o->type && runtime_type_parse(o->type, &type) == 0;
	size_t pointers, bytes;

	*out = NULL;
	if (!said)
		config_check_type(o, known, v);
	runtime_config_measure(o, &pointers, &bytes);
	c = malloc(sizeof(*c) + pointers * sizeof(char *) + bytes);
	if (!c)
		return -ENOMEM;
	c->o = *o;
	c->o.type = runtime_types[type];
	c->type = type;
	runtime_config_check(o, type, known, v, &c->o,
			     &(struct runtime_room){
				     c->pointers,
				     (char *)&c->pointers[pointers] });
	if (v->error)
		return -ENOMEM;
	if (v->n > before)
		return RUNTIME_CONFIG_E_INVALID;
	config_set_defaults(&c->o);
	*out = c;
	c = NULL;
	return 0;
}

int runtime_config_new(struct runtime_config **out,
		       const struct runtime_config_options *o,
		       struct buf *violations)
{
	struct violations v = { .out = violations };
	int r = runtime_config_make(out, o, false, 0, &v);

	return violations_end(&v) < 0 ? -ENOMEM : r;
}

void runtime_config_free(struct runtime_config *c)
{
	free(c);
}

enum runtime_type runtime_config_type(const struct runtime_config *c)
{
	return c->type;
}

const struct runtime_config_options *runtime_config_get(
	const struct runtime_config *c)
{
	return &c->o;
}
