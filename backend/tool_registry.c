#include "backend/tool_registry.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "backend/tool_native.h"
#include "backend/tool_violations.h"
#include "common/buf.h"
#include "common/file.h"
#include "common/log.h"

#define REGISTRY_FNV_START UINT64_C(0xcbf29ce484222325)
#define REGISTRY_FNV_PRIME UINT64_C(0x100000001b3)

struct registry_list {
	struct tool_entry **items; /* by name */
	size_t n;
};

struct tool_registry {
	char *dir;
	struct registry_list list;
	uint64_t checked_ms;
	uint64_t signature; /* of the directory when it was read */
};

/* ------------------------------------------------------------------ entries */

struct tool_entry *tool_entry_ref(struct tool_entry *e)
{
	e->refs++;
	return e;
}

void tool_entry_unref(struct tool_entry *e)
{
	if (!e || --e->refs > 0)
		return;
	tool_free(e->tool);
	free(e->name);
	free(e->source);
	free(e->problem);
	free(e);
}

/* The file's name without its suffix. */
static char *entry_name(const char *file)
{
	const char *dot = strrchr(file, '.');

	return dot ? strndup(file, (size_t)(dot - file)) : strdup(file);
}

static struct tool_entry *entry_new(const char *file, const char *source)
{
	struct tool_entry *e = calloc(1, sizeof(*e));

	if (!e)
		return NULL;
	e->refs = 1;
	e->name = entry_name(file);
	e->source = strdup(source);
	if (e->name && e->source)
		return e;
	tool_entry_unref(e);
	return NULL;
}

/* 0 or -ENOMEM. */
static int entry_fail(struct tool_entry *e, const char *problem)
{
	if (asprintf(&e->problem, "%.*s", TOOL_REGISTRY_PROBLEM_BYTES,
		     problem) < 0)
		e->problem = NULL;
	return e->problem ? 0 : -ENOMEM;
}

static int entry_parse(struct tool_entry *e, const char *file, const void *text,
		       size_t len)
{
	struct tool_violations v = { 0 };
	_cleanup_(buf_deinit) struct buf why = { 0 };
	int r;

	if (!strcmp(e->name, TOOL_NATIVE_NAME))
		return entry_fail(e, "this name belongs to what Cronium itself "
				     "does; choose another");
	r = tool_file_load(file, text, len, &v, &e->tool);
	if (r > 0)
		r = tool_violations_text(&v, &why) || !buf_cstr(&why)
			    ? -ENOMEM
			    : entry_fail(e, (char *)why.data);
	tool_violations_deinit(&v);
	return r;
}

struct tool_entry *tool_entry_load(const char *file, const char *source,
				   const void *text, size_t len)
{
	struct tool_entry *e = entry_new(file, source);

	if (e && entry_parse(e, file, text, len) == 0)
		return e;
	tool_entry_unref(e);
	return NULL;
}

/* -------------------------------------------------------------------- lists */

static void list_deinit(struct registry_list *l)
{
	for (size_t i = 0; i < l->n; i++)
		tool_entry_unref(l->items[i]);
	free(l->items);
	*l = (struct registry_list){ 0 };
}

/* Where the name is, or where it belongs. */
static size_t list_at(const struct registry_list *l, const char *name)
{
	size_t low = 0, high = l->n;

	while (low < high) {
		size_t middle = (low + high) / 2;

		if (strcmp(l->items[middle]->name, name) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static struct tool_entry *list_find(const struct registry_list *l,
				    const char *name)
{
	size_t i = list_at(l, name);

	return i < l->n && !strcmp(l->items[i]->name, name) ? l->items[i]
							    : NULL;
}

/* Takes e. 0 or -ENOMEM. */
static int list_put(struct registry_list *l, struct tool_entry *e)
{
	size_t i = list_at(l, e->name);
	struct tool_entry **items;

	if (i < l->n && !strcmp(l->items[i]->name, e->name)) {
		tool_entry_unref(l->items[i]);
		l->items[i] = e;
		return 0;
	}
	items = reallocarray(l->items, l->n + 1, sizeof(*items));
	if (!items) {
		tool_entry_unref(e);
		return -ENOMEM;
	}
	l->items = items;
	memmove(items + i + 1, items + i, (l->n - i) * sizeof(*items));
	items[i] = e;
	l->n++;
	return 0;
}

static int list_add_builtins(struct registry_list *l)
{
	int r = 0;

	for (const struct tool_builtin *b = tool_builtins; !r && b->file; b++) {
		struct tool_entry *e = tool_entry_load(b->file,
						       TOOL_REGISTRY_BUILTIN,
						       b->text, b->len);

		r = e ? list_put(l, e) : -ENOMEM;
	}
	return r;
}

/* ---------------------------------------------------------------- the files */

static bool file_is_tool(const char *name)
{
	static const char *const suffixes[] = { ".yaml", ".yml", ".json" };
	const char *dot = strrchr(name, '.');

	if (name[0] == '.' || !dot)
		return false;
	for (size_t i = 0; i < ARRAY_SIZE(suffixes); i++)
		if (!strcmp(dot, suffixes[i]))
			return true;
	return false;
}

/* 0, or negative errno with a sentence in why. */
static int file_read(int dir, const char *name, struct buf *text, char *why,
		     size_t size)
{
	_cleanup_close_ int fd = openat(dir, name,
					O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	struct stat st;
	int r = fd < 0 || fstat(fd, &st) < 0 ? -errno : 0;

	if (!r && !S_ISREG(st.st_mode))
		r = -EINVAL;
	if (!r)
		r = file_read_all(fd, TOOL_REGISTRY_FILE_MAX_BYTES, text);
	if (r == -EFBIG)
		snprintf(why, size,
			 "the file is larger than the %d KiB that are accepted",
			 TOOL_REGISTRY_FILE_MAX_BYTES >> 10);
	else if (r < 0)
		snprintf(why, size, "the file cannot be read: %s",
			 r == -EINVAL ? "it is no file" : strerror(-r));
	return r;
}

static struct tool_entry *registry_load(const struct tool_registry *r, int dir,
					const char *name)
{
	_cleanup_(buf_deinit) struct buf text = { 0 };
	_cleanup_free_ char *path = NULL;
	struct tool_entry *e;
	char why[256];

	if (asprintf(&path, "%s/%s", r->dir, name) < 0) {
		path = NULL;
		return NULL;
	}
	if (!file_read(dir, name, &text, why, sizeof(why)))
		return tool_entry_load(name, path, text.data, text.len);
	e = entry_new(name, path);
	if (e && entry_fail(e, why)) {
		tool_entry_unref(e);
		return NULL;
	}
	return e;
}

/* Two files of one tool: neither is more right than the other. */
static int registry_add(struct registry_list *l, struct tool_entry *e)
{
	struct tool_entry *old = list_find(l, e->name);
	_cleanup_free_ char *why = NULL;

	if (!old || !strcmp(old->source, TOOL_REGISTRY_BUILTIN))
		return list_put(l, e);
	if (asprintf(&why, "there are two files of this name: %s and %s",
		     old->source, e->source) < 0) {
		why = NULL;
		tool_entry_unref(e);
		return -ENOMEM;
	}
	tool_free(e->tool);
	e->tool = NULL;
	free(e->problem);
	e->problem = NULL;
	if (entry_fail(e, why)) {
		tool_entry_unref(e);
		return -ENOMEM;
	}
	return list_put(l, e);
}

static int registry_read_dir(struct tool_registry *r, DIR *d,
			     struct registry_list *l)
{
	struct dirent *file;
	size_t n = 0;
	int e = 0;

	while (!e && (file = readdir(d))) {
		struct tool_entry *entry;

		if (!file_is_tool(file->d_name))
			continue;
		if (++n > TOOL_REGISTRY_FILES_MAX) {
			log_error("tools",
				  "%s has more than %d files: the "
				  "others are left out",
				  r->dir, TOOL_REGISTRY_FILES_MAX);
			break;
		}
		entry = registry_load(r, dirfd(d), file->d_name);
		e = entry ? registry_add(l, entry) : -ENOMEM;
	}
	return e;
}

static uint64_t hash_bytes(uint64_t hash, const void *data, size_t len)
{
	const uint8_t *bytes = data;

	for (size_t i = 0; i < len; i++)
		hash = (hash ^ bytes[i]) * REGISTRY_FNV_PRIME;
	return hash;
}

/* Changes when a file comes, goes or changes; the order does not matter. */
static uint64_t registry_signature(DIR *d)
{
	struct dirent *file;
	uint64_t sum = 1;
	size_t n = 0;

	while ((file = readdir(d)) && n < TOOL_REGISTRY_FILES_MAX) {
		uint64_t hash = REGISTRY_FNV_START;
		struct stat st;

		if (!file_is_tool(file->d_name) ||
		    fstatat(dirfd(d), file->d_name, &st, 0) < 0)
			continue;
		hash = hash_bytes(hash, file->d_name, strlen(file->d_name));
		hash = hash_bytes(hash, &st.st_mtim, sizeof(st.st_mtim));
		hash = hash_bytes(hash, &st.st_size, sizeof(st.st_size));
		hash = hash_bytes(hash, &st.st_ino, sizeof(st.st_ino));
		sum += hash;
		n++;
	}
	rewinddir(d);
	return sum;
}

/* ----------------------------------------------------------------- registry */

static void registry_log(const struct registry_list *l)
{
	for (size_t i = 0; i < l->n; i++)
		if (l->items[i]->problem)
			log_error("tools", "%s (%s): %s", l->items[i]->name,
				  l->items[i]->source, l->items[i]->problem);
}

static void registry_take(struct tool_registry *r, DIR *d, uint64_t signature)
{
	struct registry_list l = { 0 };
	int e = list_add_builtins(&l);

	if (!e && d)
		e = registry_read_dir(r, d, &l);
	if (e) {
		log_error("tools", "%s was not read: out of memory", r->dir);
		list_deinit(&l);
		return;
	}
	registry_log(&l);
	list_deinit(&r->list);
	r->list = l;
	r->signature = signature;
	log_info("tools", "tools=%zu dir=%s", l.n, r->dir);
}

static void registry_look(struct tool_registry *r, bool always)
{
	DIR *d = opendir(r->dir);
	uint64_t signature = d ? registry_signature(d) : 0;

	if (!d && errno != ENOENT)
		log_error("tools", "cannot read %s: %s", r->dir,
			  strerror(errno));
	if (always || signature != r->signature)
		registry_take(r, d, signature);
	if (d)
		closedir(d);
}

void tool_registry_refresh(struct tool_registry *r, uint64_t now_ms)
{
	if (now_ms - r->checked_ms < TOOL_REGISTRY_CHECK_MS)
		return;
	r->checked_ms = now_ms;
	registry_look(r, false);
}

void tool_registry_reload(struct tool_registry *r)
{
	registry_look(r, true);
}

int tool_registry_new(struct tool_registry **out, const char *dir)
{
	struct tool_registry *r = calloc(1, sizeof(*r));

	if (!r)
		return -ENOMEM;
	r->dir = strdup(dir);
	if (!r->dir) {
		tool_registry_free(r);
		return -ENOMEM;
	}
	registry_look(r, true);
	*out = r;
	return 0;
}

void tool_registry_free(struct tool_registry *r)
{
	if (!r)
		return;
	list_deinit(&r->list);
	free(r->dir);
	free(r);
}

struct tool_entry *tool_registry_find(const struct tool_registry *r,
				      const char *name)
{
	return list_find(&r->list, name);
}

const struct tool_entry *tool_registry_at(const struct tool_registry *r,
					  size_t i)
{
	return i < r->list.n ? r->list.items[i] : NULL;
}
