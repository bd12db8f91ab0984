#include "payload/inspect.h"

#include <errno.h>
#include <string.h>

#include "common/json.h"
#include "payload/manifest.h"
#include "payload/read.h"

#define INSPECT_ERROR_MAX_BYTES 512

struct inspect {
	struct payload_info *info;
	struct payload_entry *files; /* their paths are ours */
	size_t n, cap;
	struct buf manifest;
	bool in_manifest;
};

static void inspect_deinit(struct inspect *in)
{
	for (size_t i = 0; i < in->n; i++)
		free((char *)(uintptr_t)in->files[i].path);
	free(in->files);
	buf_deinit(&in->manifest);
}

static int inspect_grow(struct inspect *in)
{
	size_t cap = in->cap ? in->cap * 2 : 64;
	void *files;

	if (in->n < in->cap)
		return 0;
	files = reallocarray(in->files, cap, sizeof(*in->files));
	if (!files)
		return -ENOMEM;
	in->files = files;
	in->cap = cap;
	return 0;
}

static int inspect_on_entry(const struct payload_entry *e, void *ctx)
{
	struct inspect *in = ctx;
	char *path;

	in->in_manifest = !e->directory && !strcmp(e->path, MANIFEST_NAME);
	if (e->directory)
		return 0;
	if (inspect_grow(in) < 0)
		return -ENOMEM;
	path = strdup(e->path);
	if (!path)
		return -ENOMEM;
	in->files[in->n] = *e;
	in->files[in->n++].path = path;
	in->info->unpacked_bytes += (size_t)e->size;
	return 0;
}

static int inspect_on_data(const void *data, size_t len, void *ctx)
{
	struct inspect *in = ctx;

	/* One byte more than it may have says that it is too long. */
	len = MIN(len, MANIFEST_MAX_BYTES + 1 - in->manifest.len);
	return in->in_manifest ? buf_append(&in->manifest, data, len) : 0;
}

static int inspect_compare(const void *a, const void *b)
{
	const struct payload_entry *x = a, *y = b;

	return strcmp(x->path, y->path);
}

static int inspect_list(struct inspect *in)
{
	json_t *list = json_array();

	in->info->files = list;
	if (!list)
		return -ENOMEM;
	if (in->n)
		qsort(in->files, in->n, sizeof(*in->files), inspect_compare);
	for (size_t i = 0; i < in->n; i++) {
		const struct payload_entry *e = &in->files[i];
		json_t *file = json_pack("{s:s,s:I,s:b}", "path", e->path,
					 "bytes", (json_int_t)e->size,
					 "executable", e->executable);

		if (json_array_append_new(list, file))
			return -ENOMEM;
	}
	return 0;
}

static bool inspect_has(const struct inspect *in, const char *path)
{
	const struct payload_entry key = { .path = path };

	return in->n && bsearch(&key, in->files, in->n, sizeof(*in->files),
				inspect_compare);
}

static int inspect_said(int r)
{
	return r < 0 ? r : PAYLOAD_E_REFUSED;
}

static int inspect_manifest(struct inspect *in, struct buf *why)
{
	const char *entrypoint;
	int r;

	if (!inspect_has(in, MANIFEST_NAME))
		return inspect_said(buf_printf(
			why, "%s is not at the archive's top", MANIFEST_NAME));
	r = manifest_parse(in->manifest.data, in->manifest.len,
			   &in->info->manifest, why);
	if (r)
		return r == MANIFEST_E_INVALID ? PAYLOAD_E_REFUSED : r;
	entrypoint = json_get_str(in->info->manifest, "entrypoint", "");
	if (inspect_has(in, entrypoint))
		return 0;
	return inspect_said(
		buf_printf(why, "entrypoint: %s is not a file of the archive",
			   entrypoint));
}

int payload_inspect(const void *data, size_t len, struct payload_info *out,
		    struct buf *why)
{
	static const struct payload_sink sink = {
		.on_entry = inspect_on_entry,
		.on_data = inspect_on_data,
	};
	_cleanup_(inspect_deinit) struct inspect in = { .info = out };
	char err[INSPECT_ERROR_MAX_BYTES];
	int r;

	*out = (struct payload_info){ .bytes = len };
	r = payload_read(data, len, &sink, &in, err, sizeof(err));
	if (r == PAYLOAD_E_REFUSED && buf_append_str(why, err) < 0)
		r = -ENOMEM;
	if (!r)
		r = inspect_list(&in);
	if (!r)
		r = inspect_manifest(&in, why);
	if (r)
		payload_info_deinit(out);
	return r;
}

void payload_info_deinit(struct payload_info *info)
{
	json_decref(info->manifest);
	json_decref(info->files);
	info->manifest = info->files = NULL;
}
