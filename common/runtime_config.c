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

static const char *config_copy_text(char **at, const char *s)
{
	size_t len = strlen(s) + 1;
	char *copy = *at;

	memcpy(copy, s, len);
	*at += len;
	return copy;
}

/* The lists' items in their normal form, behind each other. */
static void config_copy(struct runtime_config *c, size_t pointers)
{
	char *text = (char *)&c->pointers[pointers];
	const char **next = c->pointers;
	char normal[RUNTIME_NORMAL_MAX_BYTES];

	for (enum runtime_list i = 0; i < RUNTIME_LISTS; i++) {
		const char *const *items = runtime_list_items(&c->o, i);
		const char **copy = next;

		for (; items && *items; items++) {
			(void)runtime_lists[i].normal(&c->o, *items, normal);
			*next++ = config_copy_text(&text, normal);
		}
		runtime_list_set(&c->o, i, next == copy ? NULL : copy);
		if (next != copy)
			*next++ = NULL;
	}
	if (c->o.entrypoint)
		c->o.entrypoint = config_copy_text(&text, c->o.entrypoint);
	if (c->o.environment)
		c->o.environment = config_copy_text(&text, c->o.environment);
}

int runtime_config_make(struct runtime_config **out,
			const struct runtime_config_options *o, bool said,
			unsigned int before, struct violations *v)
{
	struct runtime_room room = { 0 };
	enum runtime_type type = RUNTIME_PYTHON;
	struct runtime_config *c;
	bool known = o->type && runtime_type_parse(o->type, &type) == 0;

	*out = NULL;
	if (!known && !said && o->type)
		violations_add(v, "type",
			       "must be one of python, bash, node, bun, not "
			       "\"%.40s\"",
			       o->type);
	else if (!known && !said)
		violations_add(v, "type",
			       "is needed: python, bash, node or bun");
	runtime_config_check(o, type, known, v, &room);
	if (v->error)
		return -ENOMEM;
	if (v->n > before)
		return RUNTIME_CONFIG_E_INVALID;
	c = malloc(sizeof(*c) + room.pointers * sizeof(char *) + room.bytes);
	if (!c)
		return -ENOMEM;
	c->o = *o;
	c->o.type = runtime_types[type];
	c->type = type;
	config_copy(c, room.pointers);
	config_set_defaults(&c->o);
	*out = c;
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
