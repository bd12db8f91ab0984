#include "runner/resume.h"

#include <errno.h>
#include <string.h>

int resume_parse(struct positions *taken, const char *execution,
		 const void *data, size_t len)
{
	_cleanup_json_ json_t *o = json_parse_object(data, len, NULL, 0);
	const char *name = json_get_str(o, "execution", NULL);

	if (!name || positions_read(taken, json_object_get(o, "taken")) < 0)
		return -EINVAL;
	return strcmp(name, execution) ? RESUME_E_OTHER : 0;
}
