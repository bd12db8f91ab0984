#include "cli/verb.h"

#include <stdio.h>
#include <string.h>

#include "cli/api.h"
#include "cli/command.h"
#include "cli/output.h"
#include "common/macro.h"

#define VERB_WORDS_MAX 8
#define VERB_USAGE_BYTES 512

static const struct verb *verb_find(const struct verb *verbs, size_t n,
				    const char *name)
{
	for (size_t i = 0; i < n; i++)
		if (!strcmp(name, verbs[i].name))
			return &verbs[i];
	return NULL;
}

static int verb_unknown(const char *command, const struct verb *verbs, size_t n,
			const char *word)
{
	char usage[VERB_USAGE_BYTES];
	size_t len = 0;

	for (size_t i = 0; i < n && len < sizeof(usage); i++)
		len += (size_t)snprintf(usage + len, sizeof(usage) - len,
					"%s%s%s%s", i ? " | " : "",
					verbs[i].name,
					*verbs[i].words ? " " : "",
					verbs[i].words);
	output_error("there is no `cronium %s %s`; usage: cronium %s %s",
		     command, word, command, usage);
	return CLI_USAGE;
}

static int verb_call(const struct verb *verb, const void *options, char **words)
{
	struct api api;
	int exit_code;

	if (verb->local)
		return verb->run(NULL, options, words);
	if (api_open(&api, options) < 0)
		return CLI_FAILED;
	exit_code = verb->run(&api, options, words);
	api_close(&api);
	return exit_code;
}

int verb_run(const char *command, const struct verb *verbs, size_t n,
	     const void *options, char **words, size_t n_words)
{
	const struct verb *verb = verb_find(verbs, n, words[0]);
	char *rest[VERB_WORDS_MAX + 1] = { NULL };
	size_t n_rest = n_words - 1;

	if (!verb)
		return verb_unknown(command, verbs, n, words[0]);
	if (n_rest < verb->words_min || n_rest > verb->words_max ||
	    n_rest > VERB_WORDS_MAX) {
		output_error("usage: cronium %s %s%s%s", command, verb->name,
			     *verb->words ? " " : "", verb->words);
		return CLI_USAGE;
	}
	for (size_t i = 0; i < n_rest; i++)
		rest[i] = words[i + 1];
	return verb_call(verb, options, rest);
}
