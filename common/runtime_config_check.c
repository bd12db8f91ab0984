#include <inttypes.h>
#include <string.h>

#include "common/json.h"
#include "common/runtime_config_impl.h"
#include "common/violations.h"

#define RUNTIME_HOUR_MS (3600ULL * 1000)

const struct runtime_range runtime_ranges[RUNTIME_NUMBERS] = {
	[RUNTIME_NUMBER_MEMORY] = { "max_memory_mb", RUNTIME_MEMORY_MIN_MB,
				    RUNTIME_MEMORY_MAX_MB },
	[RUNTIME_NUMBER_TIMEOUT] = { "timeout", 0, RUNTIME_TIMEOUT_MAX_MS },
	[RUNTIME_NUMBER_STDERR] = { "max_stderr_capture", 1,
				    RUNTIME_STDERR_MAX_BYTES },
	[RUNTIME_NUMBER_RETRIES] = { "retries", 0, RUNTIME_RETRIES_MAX },
	[RUNTIME_NUMBER_INITIAL] = { "backoff.initial", 1, RUNTIME_HOUR_MS },
	[RUNTIME_NUMBER_MAX] = { "backoff.max", 1, 24 * RUNTIME_HOUR_MS },
	[RUNTIME_NUMBER_ELAPSED] = { "backoff.max_elapsed", 1,
				     7 * 24 * RUNTIME_HOUR_MS },
};

#define RUNTIME_LIST_AT(field) offsetof(struct runtime_config_options, field)

const struct runtime_list_rule runtime_lists[RUNTIME_LISTS] = {
	[RUNTIME_LIST_NET] = { "permissions.net",
			       RUNTIME_LIST_AT(permissions.net.items),
			       runtime_normal_net },
	[RUNTIME_LIST_READ] = { "permissions.read",
				RUNTIME_LIST_AT(permissions.read.items),
				runtime_normal_path },
	[RUNTIME_LIST_WRITE] = { "permissions.write",
				 RUNTIME_LIST_AT(permissions.write.items),
				 runtime_normal_path },
	[RUNTIME_LIST_ENV] = { "permissions.env",
			       RUNTIME_LIST_AT(permissions.env.items),
			       runtime_normal_env },
	[RUNTIME_LIST_NODE] = { "node_options", RUNTIME_LIST_AT(node_options),
				runtime_normal_node_option },
};

/* Zero is the default, which is always in range. */
static void check_number(struct violations *v, enum runtime_number number,
			 uint64_t value)
{
	const struct runtime_range *range = &runtime_ranges[number];

	if (value && (value < range->min || value > range->max))
		violations_add(v, range->name,
			       "must be %" PRIu64 " to %" PRIu64
			       ", not %" PRIu64,
			       range->min, range->max, value);
}

static void check_numbers(const struct runtime_config_options *o,
			  struct violations *v)
{
	uint32_t initial = o->backoff_initial_ms ? o->backoff_initial_ms
						 : RUNTIME_BACKOFF_INITIAL_MS;
	uint32_t max = o->backoff_max_ms ? o->backoff_max_ms
					 : RUNTIME_BACKOFF_MAX_MS;

	check_number(v, RUNTIME_NUMBER_MEMORY, o->max_memory_mb);
	check_number(v, RUNTIME_NUMBER_TIMEOUT, o->timeout_ms);
	check_number(v, RUNTIME_NUMBER_STDERR, o->max_stderr_bytes);
	check_number(v, RUNTIME_NUMBER_RETRIES, o->retries);
	check_number(v, RUNTIME_NUMBER_INITIAL, o->backoff_initial_ms);
	check_number(v, RUNTIME_NUMBER_MAX, o->backoff_max_ms);
	check_number(v, RUNTIME_NUMBER_ELAPSED, o->backoff_max_elapsed_ms);
	if (initial > max)
		violations_add(v, "backoff",
			       "initial (%" PRIu32 " ms) must not be above max "
			       "(%" PRIu32 " ms)",
			       initial, max);
}

bool runtime_entrypoint_valid(const char *s)
{
	size_t len = strlen(s);

	if (!len || len > RUNTIME_ENTRYPOINT_MAX_BYTES || *s == '-' ||
	    !json_utf8_valid(s, len))
		return false;
	for (const char *c = s; *c; c++)
		if ((unsigned char)*c < 0x20 || *c == 0x7f || *c == '\\')
			return false;
	/* No component is empty, "." or "..": so none in front, either. */
	for (;; s += len + 1) {
		len = strcspn(s, "/");
		if (!len || (len <= 2 && !strncmp(s, "..", len)))
			return false;
		if (!s[len])
			return true;
	}
}

bool runtime_environment_valid(const char *s)
{
	return !strcmp(s, "development") || !strcmp(s, "staging") ||
	       !strcmp(s, "production");
}

static const char *copy_text(struct runtime_room *room, const char *s)
{
	size_t len = strlen(s) + 1;
	char *copy = room->text;

	memcpy(copy, s, len);
	room->text += len;
	return copy;
}

static void check_texts(const struct runtime_config_options *o,
			struct violations *v,
			struct runtime_config_options *copy,
			struct runtime_room *room)
{
	if (o->entrypoint && runtime_entrypoint_valid(o->entrypoint))
		copy->entrypoint = copy_text(room, o->entrypoint);
	else if (o->entrypoint)
		violations_add(v, "entrypoint",
			       "\"%.80s\" is not a relative path of at most %d "
			       "bytes without \"..\", \"\\\", control "
			       "characters or a leading \"-\"",
			       o->entrypoint, RUNTIME_ENTRYPOINT_MAX_BYTES);
	if (o->environment && runtime_environment_valid(o->environment))
		copy->environment = copy_text(room, o->environment);
	else if (o->environment)
		violations_add(v, "environment",
			       "must be one of development, staging, "
			       "production, not \"%.40s\"",
			       o->environment);
	if (o->worker_file_perm &&
	    (o->worker_file_perm & ~0777U || !(o->worker_file_perm & 0400)))
		violations_add(v, "worker_file_perm",
			       "must be 0400 to 0777 with the owner's right to "
			       "read, not %#o",
			       o->worker_file_perm);
}

static void check_list(const struct runtime_config_options *o,
		       enum runtime_list list, struct violations *v,
		       struct runtime_config_options *copy,
		       struct runtime_room *room)
{
	const struct runtime_list_rule *rule = &runtime_lists[list];
	const char *const *items = runtime_list_items(o, list);
	const char **copies = room->pointers;
	size_t n;

	for (n = 0; items && items[n] && n < RUNTIME_LIST_MAX_ITEMS; n++) {
		const char *wrong = "is too long";

		if (strlen(items[n]) <= RUNTIME_ITEM_MAX_BYTES)
			wrong = rule->normal(o, items[n], room->text);
		if (wrong)
			violations_add(v, rule->name, "\"%.80s\" %s", items[n],
				       wrong);
		copies[n] = room->text;
		if (!wrong)
			room->text += strlen(room->text) + 1;
	}
	if (items && items[n])
		violations_add(v, rule->name, "must be at most %d items",
			       RUNTIME_LIST_MAX_ITEMS);
	runtime_list_set(copy, list, n ? copies : NULL);
	if (!n)
		return;
	copies[n] = NULL;
	room->pointers += n + 1;
}

static size_t measure_text(const char *s, size_t max)
{
	return s ? strnlen(s, max) + 1 : 0;
}

void runtime_config_measure(const struct runtime_config_options *o,
			    size_t *pointers, size_t *bytes)
{
	*pointers = 0;
	*bytes = measure_text(o->entrypoint, RUNTIME_ENTRYPOINT_MAX_BYTES) +
		 measure_text(o->environment, RUNTIME_ITEM_MAX_BYTES);
	for (enum runtime_list i = 0; i < RUNTIME_LISTS; i++) {
		const char *const *items = runtime_list_items(o, i);
		size_t n;

		for (n = 0; items && items[n] && n < RUNTIME_LIST_MAX_ITEMS;
		     n++) {
			*bytes += measure_text(items[n],
					       RUNTIME_ITEM_MAX_BYTES);
			if (*items[n] == '[')
				*bytes += RUNTIME_NORMAL_GROWTH_BYTES;
		}
		*pointers += n ? n + 1 : 0;
	}
}

void runtime_config_check(const struct runtime_config_options *o,
			  enum runtime_type type, bool known,
			  struct violations *v,
			  struct runtime_config_options *copy,
			  struct runtime_room *room)
{
	check_texts(o, v, copy, room);
	for (enum runtime_list i = 0; i < RUNTIME_LISTS; i++)
		check_list(o, i, v, copy, room);
	if (o->node_options && *o->node_options && known &&
	    type != RUNTIME_NODE)
		violations_add(v, "node_options",
			       "are for the type node, not %s",
			       runtime_type_name(type));
	check_numbers(o, v);
}
