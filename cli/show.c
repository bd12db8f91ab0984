#include "cli/show.h"

#include "cli/api.h"
#include "cli/command.h"
#include "cli/output.h"

int show_get(struct api *api, const struct cli_globals *globals,
	     const char *path, const char *doing,
	     void (*print)(const json_t *o))
{
	json_t *o = path ? api_get_json(api, path, doing) : NULL;

	if (!path)
		output_error("cannot %s: out of memory", doing);
	if (!o)
		return CLI_FAILED;
	if (globals->json)
		output_json(o);
	else
		print(o);
	json_decref(o);
	return CLI_OK;
}

int show_only(const struct cli_globals *globals, const char *path,
	      const char *doing, void (*print)(const json_t *o))
{
	struct api api;
	int exit_code;

	if (api_open(&api, globals) < 0)
		return CLI_FAILED;
	exit_code = show_get(&api, globals, path, doing, print);
	api_close(&api);
	return exit_code;
}
