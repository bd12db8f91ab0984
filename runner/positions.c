#include "runner/positions.h"

#include <assert.h>
#include <errno.h>

static const char *const positions_names[POSITIONS_PARTS] = {
	[POSITIONS_STDOUT] = "stdout",
	[POSITIONS_STDERR] = "stderr",
	[POSITIONS_NOTICE] = "notice",
};

enum positions_part positions_part_of(enum frame_type type)
{
	assert(type >= FRAME_STDOUT && type <= FRAME_NOTICE);
	return (enum positions_part)(type - FRAME_STDOUT);
}

int positions_read(struct positions *out, const json_t *o)
{
	if (!json_is_object(o))
		return -EINVAL;
	for (size_t i = 0; i < POSITIONS_PARTS; i++) {
		const json_t *v = json_object_get(o, positions_names[i]);

		if (v && (!json_is_integer(v) || json_integer_value(v) < 0))
			return -EINVAL;
		out->at[i] = (uint64_t)json_integer_value(v);
	}
	return 0;
}

int positions_parse(struct positions *out, const void *data, size_t len)
{
	_cleanup_json_ json_t *o = json_parse_object(data, len, NULL, 0);

	return positions_read(out, o);
}
