#include "runner/command_line.h"

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "common/runtime_config.h"

#define COMMAND_LINE_OWN_PREFIX "CRONIUM_" /* refused to users, not to us */

static bool command_line_is_u(const char *word)
{
	return !strcmp(word, "-u");
}

static bool command_line_is_node_option(const char *word)
{
	return !runtime_node_option_refused(word);
}

static bool command_line_is_bun_word(const char *word)
{
	return !strcmp(word, "run") || !strcmp(word, "--smol");
}

static bool command_line_is_no_option(const char *word)
{
	return false;
}

static const struct command_line_interpreter {
	const char *name;
	bool (*permits)(const char *word); /* in front of the script */
} command_line_interpreters[] = {
	{ "python3", command_line_is_u },
	{ "bash", command_line_is_no_option },
	{ "node", command_line_is_node_option },
	{ "bun", command_line_is_bun_word },
};

static const struct command_line_interpreter *command_line_find(
	const char *program)
{
	const char *slash = strrchr(program, '/');
	const char *name = slash ? slash + 1 : program;

	for (size_t i = 0; i < ARRAY_SIZE(command_line_interpreters); i++)
		if (!strcmp(command_line_interpreters[i].name, name))
			return &command_line_interpreters[i];
	return NULL;
}

/* Whether an option would take the word behind it for its value; Bun's and
 * Python's have none. */
static bool command_line_takes_next(const char *word)
{
	return !strncmp(word, "--", 2) && strcmp(word, "--smol") != 0 &&
	       !strchr(word, '=');
}

static bool command_line_runs_script(const struct assignment *a)
{
	const struct command_line_interpreter *by = command_line_find(
		a->argv[0]);
	size_t i;

	if (!by)
		return false;
	for (i = 1; a->argv[i] && strcmp(a->argv[i], a->script_name); i++)
		if (!by->permits(a->argv[i]))
			return false;
	return a->argv[i] && *a->argv[i] != '-' &&
	       (i == 1 || !command_line_takes_next(a->argv[i - 1]));
}

static bool command_line_env_is_harmless(const struct assignment *a)
{
	const char *name;
	json_t *value;

	json_object_foreach((json_t *)(uintptr_t)a->env, name, value)
		if (strncmp(name, COMMAND_LINE_OWN_PREFIX,
			    strlen(COMMAND_LINE_OWN_PREFIX)) != 0 &&
		    runtime_config_env_refused(name))
			return false;
	return true;
}

const char *command_line_refused(const struct assignment *a)
{
	if (!command_line_runs_script(a))
		return "its command line is not python3, bash, node or bun, "
		       "options that load nothing, and the script: nothing "
		       "else is signed";
	if (!command_line_env_is_harmless(a))
		return "a variable of its environment would change what the "
		       "interpreter loads: nothing else than the script is "
		       "signed";
	return NULL;
}
