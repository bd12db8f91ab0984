#include "payload/path.h"

#include <errno.h>
#include <search.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/json.h"
#include "payload/read.h"

#define STRINGIFY(x) #x
#define TEXT(x) STRINGIFY(x)

/* --- one ------------------------------------------------------------------ */

static const char *path_check_component(const char *s, size_t len)
{
	if (!len)
		return "the path has an empty component";
	if (len == 1 && s[0] == '.')
		return "the path has the component \".\"";
	if (len == 2 && s[0] == '.' && s[1] == '.')
		return "the path has the component \"..\"";
	if (len > PAYLOAD_NAME_MAX_BYTES)
		return "the path has a component of more than " TEXT(
			PAYLOAD_NAME_MAX_BYTES) " bytes";
	return NULL;
}

static const char *path_check_characters(const char *path, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if ((unsigned char)path[i] < ' ' || path[i] == 0x7f)
			return "the path has control characters";
	return json_utf8_valid(path, len) ? NULL : "the path is not UTF-8";
}

const char *path_check(const char *path)
{
	size_t len = strlen(path);
	unsigned int depth = 0;
	const char *why;

	if (!len)
		return "the path is empty";
	if (path[0] == '/')
		return "the path is absolute";
	if (len > PAYLOAD_PATH_MAX_BYTES)
		return "the path has more than " TEXT(
			PAYLOAD_PATH_MAX_BYTES) " bytes";
	for (const char *s = path;; s += len + 1) {
		len = strcspn(s, "/");
		why = path_check_component(s, len);
		if (why)
			return why;
		if (++depth > PAYLOAD_DEPTH_MAX)
			return "the path has more than " TEXT(
				PAYLOAD_DEPTH_MAX) " components";
		if (!s[len])
			break;
	}
	return path_check_characters(path, strlen(path));
}

const char *path_show(const char *path, char out[PATH_SHOWN_MAX_BYTES])
{
	const size_t room = PATH_SHOWN_MAX_BYTES - sizeof("\\x00…");
	size_t n = 0;

	for (; *path && n < room; path++) {
		unsigned char c = (unsigned char)*path;

		if (c >= ' ' && c < 0x7f)
			out[n++] = (char)c;
		else
			n += (size_t)sprintf(out + n, "\\x%02x", c);
	}
	snprintf(out + n, PATH_SHOWN_MAX_BYTES - n, "%s", *path ? "…" : "");
	return out;
}

/* --- all ------------------------------------------------------------------ */

/* A component in its directory. */
struct path_node {
	unsigned int parent; /* 0: the top */
	unsigned int id;
	bool directory;
	bool named; /* had an entry of its own */
	size_t len;
	char name[];
};

static int path_node_compare(const void *a, const void *b)
{
	const struct path_node *x = a, *y = b;

	if (x->parent != y->parent)
		return x->parent < y->parent ? -1 : 1;
	if (x->len != y->len)
		return x->len < y->len ? -1 : 1;
	return memcmp(x->name, y->name, x->len);
}

void path_set_deinit(struct path_set *set)
{
	tdestroy(set->tree, free);
	set->tree = NULL;
}

static struct path_node *path_node_new(unsigned int parent, const char *name,
				       size_t len)
{
	struct path_node *node = calloc(1, sizeof(*node) + len);

	if (!node)
		return NULL;
	node->parent = parent;
	node->len = len;
	memcpy(node->name, name, len);
	return node;
}

/* The node, which was there or is made. */
static int path_set_step(struct path_set *set, unsigned int parent,
			 const char *name, size_t len, struct path_node **out,
			 const char **why)
{
	struct path_node *node = path_node_new(parent, name, len), **found;

	if (!node)
		return -ENOMEM;
	found = tsearch(node, &set->tree, path_node_compare);
	if (!found || *found != node) {
		free(node);
		if (!found)
			return -ENOMEM;
	} else if (set->n == PAYLOAD_ENTRIES_MAX) {
		*why = "there are more than " TEXT(
			PAYLOAD_ENTRIES_MAX) " files and directories";
		return PATH_E_REFUSED;
	} else {
		node->id = ++set->n;
	}
	*out = *found;
	return 0;
}

static int path_set_finish(struct path_node *node, bool made, bool directory,
			   const char **why)
{
	if (node->named)
		*why = "the path is there twice";
	else if (!made && !directory)
		*why = "a directory of this path is there already";
	else {
		node->named = true;
		node->directory = directory;
		return 0;
	}
	return PATH_E_REFUSED;
}

int path_set_add(struct path_set *set, const char *path, bool directory,
		 const char **why)
{
	unsigned int before = 0, parent = 0;
	struct path_node *node = NULL;

	for (;;) {
		size_t len = strcspn(path, "/");
		int r;

		before = set->n;
		r = path_set_step(set, parent, path, len, &node, why);
		if (r)
			return r;
		if (!path[len])
			break;
		if (node->named && !node->directory) {
			*why = "a part of the path is a file";
			return PATH_E_REFUSED;
		}
		node->directory = true;
		parent = node->id;
		path += len + 1;
	}
	return path_set_finish(node, set->n != before, directory, why);
}
