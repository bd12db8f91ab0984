#include "backend/executor_list.h"

#include <stdio.h>
#include <string.h>

#include "common/options.h"

static bool executor_list_has_item(const char *list, const char *item,
				   size_t len)
{
	size_t n;

	while (list) {
		const char *other = option_next_item(&list, &n);

		if (n == len && !memcmp(other, item, len))
			return true;
	}
	return false;
}

bool executor_list_has(const char *list, const char *name)
{
	if (strcmp(name, "auto") != 0)
		return executor_list_has_item(list, name, strlen(name));
	return *list && strcmp(list, "ssh") != 0;
}

void executor_list_without(const char *list, const char *other, char *out,
			   size_t size)
{
	size_t at = 0, len;

	*out = '\0';
	while (list && at < size) {
		const char *item = option_next_item(&list, &len);

		if (!executor_list_has_item(other, item, len))
			at += (size_t)snprintf(out + at, size - at, "%s%.*s",
					       at ? "," : "", (int)len, item);
	}
}
