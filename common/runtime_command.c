#include "common/runtime_command.h"

#include <stdio.h>

#define RUNTIME_COMMAND_PREFIX_MAX 2
#define RUNTIME_COMMAND_HEAP "--max-old-space-size"

/* What always stands in front of the script; the first is the interpreter. */
static const char *const runtime_commands[][RUNTIME_COMMAND_PREFIX_MAX + 1] = {
	/* -u: a line is seen when it is printed. */
	[RUNTIME_PYTHON] = { "python3", "-u" },
	[RUNTIME_BASH] = { "bash" },
	[RUNTIME_NODE] = { "node" },
	/* run: also a script that is called like a command of Bun's. */
	[RUNTIME_BUN] = { "bun", "run" },
};

const char *runtime_command_interpreter(enum runtime_type type)
{
	return runtime_commands[type][0];
}

/* Appends; -1 when out of memory. */
static int runtime_command_add(json_t *argv, const char *word)
{
	return json_array_append_new(argv, json_string(word));
}

/* The heap's limit is the last of the options, so that one before it that
 * lacks its value takes this for it, which Node refuses, and not the script. */
static int runtime_command_add_node(json_t *argv,
				    const struct runtime_config_options *o)
{
	char heap[sizeof(RUNTIME_COMMAND_HEAP "=") + 20];
	const char *own = NULL;
	int r = 0;

	for (size_t i = 0; o->node_options && o->node_options[i]; i++) {
		if (runtime_node_option_is(o->node_options[i],
					   RUNTIME_COMMAND_HEAP))
			own = o->node_options[i];
		else
			r |= runtime_command_add(argv, o->node_options[i]);
	}
	snprintf(heap, sizeof(heap), RUNTIME_COMMAND_HEAP "=%llu",
		 o->max_memory_mb * 3ULL / 4);
	return r | runtime_command_add(argv, own ? own : heap);
}

json_t *runtime_command_argv(enum runtime_type type,
			     const struct runtime_config_options *o,
			     const char *script)
{
	const char *const *word = runtime_commands[type];
	json_t *argv = json_array();
	int r = 0;

	for (; *word; word++)
		r |= runtime_command_add(argv, *word);
	if (type == RUNTIME_NODE)
		r |= runtime_command_add_node(argv, o);
	if (type == RUNTIME_BUN && o->max_memory_mb <= RUNTIME_SMALL_MEMORY_MB)
		r |= runtime_command_add(argv, "--smol");
	r |= runtime_command_add(argv, script);
	if (!r)
		return argv;
	json_decref(argv);
	return NULL;
}

/* NODE_ENV may be the user's own: libraries know other names, such as test. */
int runtime_command_set_env(json_t *env, enum runtime_type type,
			    const struct runtime_config_options *o)
{
	int r = json_object_set_new(env, "CRONIUM_ENVIRONMENT",
				    json_string(o->environment));

	if ((type == RUNTIME_NODE || type == RUNTIME_BUN) &&
	    !json_object_get(env, "NODE_ENV"))
		r |= json_object_set_new(env, "NODE_ENV",
					 json_string(o->environment));
	return r;
}
