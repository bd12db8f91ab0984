/*
 * Which options of Node may stand in front of a script: those that change how
 * it runs, not what runs, nor what it may do.
 */
#include <string.h>

#include "common/options.h"
#include "common/runtime_config_impl.h"

#define LOADS "is refused: it would load or run code beside the script"
#define INSTEAD "is refused: it would do something else than run the script"
#define OPENS "is refused: it would open a port to debug the script"
#define PERMITS "is refused: what a script may do is said in permissions"
#define NODE_NAME_MAX_BYTES (RUNTIME_ITEM_MAX_BYTES + 1)
#define CONFIGURES "is refused: it would read options from a file"

struct refused_option {
	const char *name; /* as --name, with - for _ */
	bool prefix;
	const char *why;
};

static const struct refused_option refused_options[] = {
	{ "--require", false, LOADS },
	{ "--import", false, LOADS },
	{ "--loader", false, LOADS },
	{ "--experimental-loader", false, LOADS },
	{ "--eval", false, LOADS },
	{ "--print", false, LOADS },
	{ "--entry-url", false, LOADS },
	{ "--experimental-entry-url", false, LOADS },
	{ "--input-type", false, LOADS },
	{ "--experimental-default-type", false, LOADS },
	{ "--snapshot-blob", false, LOADS },
	{ "--openssl-", true, LOADS },
	{ "--icu-data-dir", false, LOADS },
	{ "--expose-internals", false, LOADS },
	{ "--run", false, INSTEAD },
	{ "--test", false, INSTEAD },
	{ "--test-", true, INSTEAD },
	{ "--experimental-test", true, INSTEAD },
	{ "--watch", true, INSTEAD },
	{ "--check", false, INSTEAD },
	{ "--interactive", false, INSTEAD },
	{ "--help", false, INSTEAD },
	{ "--version", false, INSTEAD },
	{ "--v8-options", false, INSTEAD },
	{ "--completion-bash", false, INSTEAD },
	{ "--prof-process", false, INSTEAD },
	{ "--build-s", true, INSTEAD }, /* snapshots, executables */
	{ "--experimental-sea-config", false, INSTEAD },
	{ "--inspect", true, OPENS },
	{ "--debug", true, OPENS },
	{ "--experimental-network-inspection", false, OPENS },
	{ "--experimental-worker-inspection", false, OPENS },
	{ "--permission", true, PERMITS },
	{ "--experimental-permission", true, PERMITS },
	{ "--allow-", true, PERMITS },
	{ "--policy", true, PERMITS },
	{ "--experimental-policy", true, PERMITS },
	{ "--security-revert", true, "is refused: it would undo a correction" },
	{ "--env-file", true, CONFIGURES },
	{ "--experimental-config-file", false, CONFIGURES },
	{ "--experimental-default-config-file", false, CONFIGURES },
	{ "--max-old-space-size-percentage", false,
	  "is refused: the limit is max_memory_mb" },
};

static const char *const memory_options[] = {
	"--max-old-space-size",
	"--max-heap-size",
};

/* Node takes --a_b for --a-b, and --no-a for the opposite of --a. */
static void option_name(const char *item, char *out)
{
	size_t len = strcspn(item, "=");

	for (size_t i = 0; i < len; i++)
		out[i] = item[i] == '_' ? '-' : item[i];
	out[len] = '\0';
	if (!strncmp(out, "--no-", 5))
		memmove(out + 2, out + 5, len - 4);
}

static bool option_is(const struct refused_option *refused, const char *name)
{
	if (refused->name[2] != name[2]) /* most of them, quickly */
		return false;
	if (refused->prefix)
		return !strncmp(name, refused->name, strlen(refused->name));
	return !strcmp(name, refused->name);
}

/* Above what the pod has it would be killed instead of collecting. */
static const char *check_memory(const struct runtime_config_options *o,
				const char *name, const char *item)
{
	uint64_t max = o->max_memory_mb ? o->max_memory_mb : RUNTIME_MEMORY_MB;
	const char *value = strchr(item, '=');
	uint64_t mb;

	for (size_t i = 0; i < ARRAY_SIZE(memory_options); i++) {
		if (strcmp(name, memory_options[i]) != 0)
			continue;
		if (!value || option_parse_uint(value + 1, &mb) < 0 || !mb)
			return "needs \"=\" and a number of MB";
		if (mb > max)
			return "is refused: it is above max_memory_mb";
	}
	return NULL;
}

/* item: of at most RUNTIME_ITEM_MAX_BYTES. */
static const char *check_option(const char *item, char *name)
{
	if (strncmp(item, "--", 2) != 0 || !item[2] || item[2] == '=')
		return "is not an option that begins with \"--\"";
	for (const char *s = item; *s; s++)
		if (*s < 0x20 || *s == 0x7f)
			return "has characters that are not printable ASCII";
	option_name(item, name);
	for (size_t i = 0; i < ARRAY_SIZE(refused_options); i++)
		if (option_is(&refused_options[i], name))
			return refused_options[i].why;
	return NULL;
}

const char *runtime_normal_node_option(const struct runtime_config_options *o,
				       const char *item, char *out)
{
	char name[NODE_NAME_MAX_BYTES];
	const char *why = check_option(item, name);

	if (why)
		return why;
	memcpy(out, item, strlen(item) + 1);
	return check_memory(o, name, item);
}

bool runtime_node_option_is(const char *item, const char *name)
{
	char plain[NODE_NAME_MAX_BYTES];

	if (strlen(item) >= sizeof(plain))
		return false;
	option_name(item, plain);
	return !strcmp(plain, name);
}

bool runtime_node_option_refused(const char *item)
{
	char name[NODE_NAME_MAX_BYTES];

	return strlen(item) > RUNTIME_ITEM_MAX_BYTES ||
	       check_option(item, name);
}
