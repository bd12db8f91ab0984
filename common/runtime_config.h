/*
 * How a script wants to be run, and what it may do: the `runtime` block of a
 * job, of a payload's manifest, of the command line. Options by designated
 * initialisers, copied deeply; all that is wrong is said at once. Pure.
 *
 *	struct runtime_config_options o = {
 *		.type = "python",
 *		.permissions.net = RUNTIME_ALLOW_LIST("api.example.com"),
 *		.max_memory_mb = 256,
 *	};
 *	r = runtime_config_new(&config, &o, violations);
 */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/buf.h"
#include "common/macro.h"
#include "common/violations.h"

#define RUNTIME_MEMORY_MB 2048
#define RUNTIME_TOOL_TIMEOUT_MS 60000
#define RUNTIME_STDERR_BYTES (1024 * 1024)
#define RUNTIME_BACKOFF_INITIAL_MS 100
#define RUNTIME_BACKOFF_MAX_MS 5000
#define RUNTIME_BACKOFF_MAX_ELAPSED_MS 30000
#define RUNTIME_FILE_PERM 0600
#define RUNTIME_VIOLATIONS_MAX VIOLATIONS_MAX

#define RUNTIME_MEMORY_MIN_MB 16
#define RUNTIME_MEMORY_MAX_MB (4 * 1024 * 1024)
#define RUNTIME_TIMEOUT_MAX_MS (30ULL * 24 * 3600 * 1000)
#define RUNTIME_STDERR_MAX_BYTES (1024ULL * 1024 * 1024)
#define RUNTIME_RETRIES_MAX 100
#define RUNTIME_LIST_MAX_ITEMS 256  /* of each list */
#define RUNTIME_ITEM_MAX_BYTES 1024 /* of an item of a list */
#define RUNTIME_ENTRYPOINT_MAX_BYTES 1024

struct runtime_config;

enum {
	RUNTIME_CONFIG_E_INVALID = 1, /* violations says why */
};

enum runtime_type {
	RUNTIME_PYTHON,
	RUNTIME_BASH,
	RUNTIME_NODE,
	RUNTIME_BUN,
};

enum runtime_kind { RUNTIME_KIND_JOB, RUNTIME_KIND_TOOL }; /* its timeout */

/* What is allowed: nothing, all, or what the list has. */
struct runtime_allow {
	bool all;
	const char *const *items; /* NULL-terminated; NULL: none */
};
#define RUNTIME_ALLOW_ALL      \
	(struct runtime_allow) \
	{                      \
		.all = true    \
	}
#define RUNTIME_ALLOW_LIST(...)                \
	(struct runtime_allow)                 \
	{                                      \
		.items = (const char *const[]) \
		{                              \
			__VA_ARGS__, NULL      \
		}                              \
	}

struct runtime_permissions {
	struct runtime_allow net;   /* HOST, HOST:PORT, *.HOST */
	struct runtime_allow read;  /* absolute paths */
	struct runtime_allow write; /* absolute paths */
	struct runtime_allow env;   /* names */
	bool run;
	bool all; /* each of them */
};

/* Zero or NULL is the default of each. */
struct runtime_config_options {
	enum runtime_kind kind;
	const char *type; /* python | bash | node | bun; in any case, trimmed */
	const char *entrypoint;
	const char *environment; /* development | staging | production */
	struct runtime_permissions permissions;
	const char *const *node_options; /* NULL-terminated */
	uint32_t max_memory_mb;
	uint64_t timeout_ms;
	uint64_t max_stderr_bytes;
	uint32_t retries;
	uint32_t backoff_initial_ms, backoff_max_ms, backoff_max_elapsed_ms;
	uint32_t worker_file_perm; /* as 0600 */
	bool no_call_agents, no_call_workflows;
};

/*
 * Makes and checks: below 1 us and 5 KB (bench/). 0; RUNTIME_CONFIG_E_INVALID
 * with sentences "member: what is wrong" joined by "; " appended to
 * violations; or -ENOMEM. What o points to may be freed afterwards.
 */
int runtime_config_new(struct runtime_config **out,
		       const struct runtime_config_options *o,
		       struct buf *violations) MUST_CHECK;
/* The same of a block (an object), or of a type's name alone. Unknown members
 * are violations. */
int runtime_config_from_json(struct runtime_config **out,
			     enum runtime_kind kind, const json_t *block,
			     struct buf *violations) MUST_CHECK;
/* The same for a part of something bigger: counts with its violations, whose
 * violations_end() the caller calls. */
int runtime_config_read_json(struct runtime_config **out,
			     enum runtime_kind kind, const json_t *block,
			     struct violations *v) MUST_CHECK;
void runtime_config_free(struct runtime_config *c);
DEFINE_CLEANUP(struct runtime_config *, runtime_config_free)

enum runtime_type runtime_config_type(const struct runtime_config *c);
/* Every member set; the strings live as long as c. */
const struct runtime_config_options *runtime_config_get(
	const struct runtime_config *c);
/* The normal form: every member present. A new reference, or NULL. */
json_t *runtime_config_json(const struct runtime_config *c);

/* A relative path without "..", ".", an empty component, control characters,
 * backslashes or a leading dash. */
bool runtime_entrypoint_valid(const char *s);

/* development, staging or production. */
bool runtime_environment_valid(const char *s);

/* "python"; and back, in any case, trimmed: 0 or -EINVAL. */
const char *runtime_type_name(enum runtime_type type);
int runtime_type_parse(const char *s, enum runtime_type *out) MUST_CHECK;
/* What the suffix of a file's name says, such as ".py"; NULL: nothing. */
const char *runtime_type_name_by_suffix(const char *file);

/* Whether an item of node_options is the option --name, in any spelling. */
bool runtime_node_option_is(const char *item, const char *name);
/* Whether it is not one that may stand in node_options, whatever the limits. */
bool runtime_node_option_refused(const char *item);

/* Letters, digits and _, no digit in front, at most 255 bytes. */
bool runtime_env_name_valid(const char *name);
/* Whether a variable of this name would change what is loaded or run; a script
 * gets none of them from outside. */
bool runtime_config_env_refused(const char *name);
