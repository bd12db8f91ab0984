#include "backend/capabilities.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "backend/tool_schema.h"
#include "backend/tool_violations.h"

#define CAPABILITIES_MAX 64
#define CAPABILITIES_SUFFIX ".yaml"

struct capabilities {
	struct capability *items[CAPABILITIES_MAX]; /* by name */
	size_t n;
};

/* 0, -EINVAL with a sentence in err, or -ENOMEM. */
static int capabilities_add(struct capabilities *c,
			    const struct capability_file *f, char *err,
			    size_t err_size)
{
	_cleanup_(buf_deinit) struct buf why = { 0 };
	struct tool_violations v = { 0 };
	int r = capability_load(f, capability_files, &v, &c->items[c->n]);

	if (!r)
		c->n++;
	if (r == TOOL_E_INVALID && !tool_violations_text(&v, &why) &&
	    buf_cstr(&why)) {
		snprintf(err, err_size, "the capability %s: %s", f->file,
			 (char *)why.data);
		r = -EINVAL;
	}
	tool_violations_deinit(&v);
	return r > 0 ? -ENOMEM : r;
}

/* The others are parts of programs. */
static bool capabilities_is_one(const char *file)
{
	size_t len = strlen(file), n = strlen(CAPABILITIES_SUFFIX);

	return len > n && !strcmp(file + len - n, CAPABILITIES_SUFFIX);
}

int capabilities_new(struct capabilities **out, char *err, size_t err_size)
{
	struct capabilities *c = calloc(1, sizeof(*c));
	int r = c ? 0 : -ENOMEM;

	snprintf(err, err_size, "out of memory");
	for (const struct capability_file *f = capability_files; !r && f->file;
	     f++)
		if (c->n < CAPABILITIES_MAX && capabilities_is_one(f->file))
			r = capabilities_add(c, f, err, err_size);
	if (r)
		capabilities_free(c);
	else
		*out = c;
	return r;
}

void capabilities_free(struct capabilities *c)
{
	if (!c)
		return;
	for (size_t i = 0; i < c->n; i++)
		capability_free(c->items[i]);
	free(c);
}

const struct capability *capabilities_find(const struct capabilities *c,
					   const char *name)
{
	for (size_t i = 0; i < c->n; i++)
		if (!strcmp(c->items[i]->name, name))
			return c->items[i];
	return NULL;
}

const struct capability *capabilities_at(const struct capabilities *c, size_t i)
{
	return i < c->n ? c->items[i] : NULL;
}
