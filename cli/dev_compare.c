#include "cli/dev_compare.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "cli/dev_json.h"
#include "common/buf.h"
#include "common/json.h"

#define PATH_MAX_BYTES 512
#define SHOWN_BYTES 160 /* of a value */

static int compare(const json_t *expected, const json_t *actual,
		   const char *path, json_t *list);

/* Cut at a character, with a NUL. */
static int show(const json_t *v, struct buf *out)
{
	size_t len;

	if (json_append(out, v) < 0)
		return -ENOMEM;
	if (out->len > SHOWN_BYTES) {
		for (len = SHOWN_BYTES; (out->data[len] & 0xc0) == 0x80;)
			len--;
		out->len = len;
		if (buf_append_str(out, "…") < 0)
			return -ENOMEM;
	}
	return buf_cstr(out) ? 0 : -ENOMEM;
}

/* Either may be NULL: it is not there. */
static int differ(const json_t *expected, const json_t *actual,
		  const char *path, json_t *list)
{
	_cleanup_(buf_deinit) struct buf line = { 0 }, want = { 0 },
					 got = { 0 };
	int r = 0;

	if (json_array_size(list) >= DEV_DIFFERENCES_MAX)
		return 0;
	if (expected)
		r = show(expected, &want);
	if (!r && actual)
		r = show(actual, &got);
	if (!r && !expected)
		r = buf_printf(&line, "%s: not expected, got %s", path,
			       (char *)got.data);
	else if (!r && !actual)
		r = buf_printf(&line, "%s: expected %s, but it is not there",
			       path, (char *)want.data);
	else if (!r)
		r = buf_printf(&line, "%s: expected %s, got %s", path,
			       (char *)want.data, (char *)got.data);
	if (r < 0)
		return r;
	return json_array_append_new(list, json_stringn((char *)line.data,
							line.len)) < 0
		       ? -ENOMEM
		       : 0;
}

static void join(char out[PATH_MAX_BYTES], const char *path, const char *name)
{
	snprintf(out, PATH_MAX_BYTES, "%s%s%s", path, *path ? "." : "", name);
}

static int compare_objects(const json_t *expected, const json_t *actual,
			   const char *path, bool all, json_t *list)
{
	char at[PATH_MAX_BYTES];
	const char *name;
	json_t *value;
	int r = 0;

	json_object_foreach((json_t *)(uintptr_t)expected, name, value) {
		join(at, path, name);
		if (!r)
			r = compare(value, json_object_get(actual, name), at,
				    list);
	}
	if (!all)
		return r;
	json_object_foreach((json_t *)(uintptr_t)actual, name, value) {
		join(at, path, name);
		if (!r && !json_object_get(expected, name))
			r = differ(NULL, value, at, list);
	}
	return r;
}

static int compare_arrays(const json_t *expected, const json_t *actual,
			  const char *path, json_t *list)
{
	size_t n = MAX(json_array_size(expected), json_array_size(actual));
	char at[PATH_MAX_BYTES];
	int r = 0;

	for (size_t i = 0; !r && i < n; i++) {
		snprintf(at, sizeof(at), "%s[%zu]", path, i);
		r = compare(json_array_get(expected, i),
			    json_array_get(actual, i), at, list);
	}
	return r;
}

static int compare(const json_t *expected, const json_t *actual,
		   const char *path, json_t *list)
{
	if (json_is_object(expected) && json_is_object(actual))
		return compare_objects(expected, actual, path, true, list);
	if (json_is_array(expected) && json_is_array(actual))
		return compare_arrays(expected, actual, path, list);
	if (expected && actual && dev_json_equal(expected, actual))
		return 0;
	return differ(expected, actual, path, list);
}

int dev_compare(const json_t *expected, const json_t *actual, json_t *list)
{
	return compare_objects(expected, actual, "", false, list);
}
