#include "cli/read_json.h"

#include <errno.h>
#include <string.h>

#include "cli/output.h"
#include "cli/read_file.h"
#include "common/json.h"

int read_json(const char *option, const char *value, size_t max,
	      struct buf *out)
{
	size_t at;
	int r;

	if (!strcmp(value, "-"))
		r = read_file(option, "-", max, out);
	else if (value[0] == '@')
		r = read_file(option, value + 1, max, out);
	else
		r = buf_append_str(out, value);
	if (!r && json_check(out->data, out->len, &at)) {
		output_error("--%s is not JSON: byte %zu", option, at);
		r = -EINVAL;
	}
	return r;
}
