/* Commands that are a family: `cronium vars set`, `cronium hosts add`. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

struct api;

struct verb {
	const char *name;
	const char *words; /* what follows it, for the usage line */
	size_t words_min, words_max;
	bool local; /* needs no server: api is NULL */
	/* words: what follows the verb, NULL-terminated. Returns CLI_*. */
	int (*run)(struct api *api, const void *options, char **words);
};

/*
 * Finds the verb that words[0] names, opens the server's API for it, and runs
 * it; CLI_USAGE after an error message where there is no such verb, or where
 * its words are too few or too many. options begins with struct cli_globals.
 */
int verb_run(const char *command, const struct verb *verbs, size_t n,
	     const void *options, char **words, size_t n_words);
