/* What the files of runtime_config.h share. */
#pragma once

#include "common/runtime_config.h"

/* An IPv6 address may become longer when it is written as everybody does. */
#define RUNTIME_NORMAL_GROWTH_BYTES 16

/* What a number may be. */
struct runtime_range {
	const char *name;
	uint64_t min, max;
};

enum runtime_number {
	RUNTIME_NUMBER_MEMORY,
	RUNTIME_NUMBER_TIMEOUT,
	RUNTIME_NUMBER_STDERR,
	RUNTIME_NUMBER_RETRIES,
	RUNTIME_NUMBER_INITIAL,
	RUNTIME_NUMBER_MAX,
	RUNTIME_NUMBER_ELAPSED,
	RUNTIME_NUMBERS,
};

extern const struct runtime_range runtime_ranges[RUNTIME_NUMBERS];

/*
 * Writes an item's normal form to out, which has room for the item, and for
 * RUNTIME_NORMAL_GROWTH_BYTES where that begins with "[". NULL, or what is
 * wrong with it.
 */
typedef const char *runtime_normal_fn(const struct runtime_config_options *o,
				      const char *item, char *out);

runtime_normal_fn runtime_normal_net;
runtime_normal_fn runtime_normal_path;
runtime_normal_fn runtime_normal_env;
runtime_normal_fn runtime_normal_node_option;

enum runtime_list {
	RUNTIME_LIST_NET,
	RUNTIME_LIST_READ,
	RUNTIME_LIST_WRITE,
	RUNTIME_LIST_ENV,
	RUNTIME_LIST_NODE,
	RUNTIME_LISTS,
};

struct runtime_list_rule {
	const char *name;
	size_t offset; /* of its NULL-terminated items in the options */
	runtime_normal_fn *normal;
};

extern const struct runtime_list_rule runtime_lists[RUNTIME_LISTS];

/* Where a copy of the options puts what they point to. */
struct runtime_room {
	const char **pointers;
	char *text;
};

/* As many pointers and bytes as that takes at most. */
void runtime_config_measure(const struct runtime_config_options *o,
			    size_t *pointers, size_t *bytes);
/* Says all that is wrong with o, except that it has no type; and makes copy,
 * which begins as o, point to copies. known: whether type is what o->type
 * says. */
void runtime_config_check(const struct runtime_config_options *o,
			  enum runtime_type type, bool known,
			  struct violations *v,
			  struct runtime_config_options *copy,
			  struct runtime_room *room);

/* As runtime_config_new(). said: what is wrong with the type was said. before:
 * as many violations are not about o. */
int runtime_config_make(struct runtime_config **out,
			const struct runtime_config_options *o, bool said,
			unsigned int before, struct violations *v) MUST_CHECK;

static inline UNUSED const char *const *runtime_list_items(
	const struct runtime_config_options *o, enum runtime_list list)
{
	return *(const char *const *const *)(const void *)((const char *)o +
							   runtime_lists[list]
								   .offset);
}

static inline UNUSED void runtime_list_set(struct runtime_config_options *o,
					   enum runtime_list list,
					   const char *const *items)
{
	*(const char *const **)(void *)((char *)o +
					runtime_lists[list].offset) = items;
}
