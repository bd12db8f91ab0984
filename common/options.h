/*
 * Command-line options from one const table, on getopt_long(3). The table is
 * the documentation: --help prints it, and a test compares it with docs/.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/macro.h"

enum option_type {
	OPTION_FLAG,     /* bool *; no argument */
	OPTION_STRING,   /* const char **; points into argv or default */
	OPTION_UINT,     /* uint64_t * */
	OPTION_DURATION, /* uint64_t *, milliseconds: 500ms 30s 5m 2h; bare = s */
	OPTION_BYTES,    /* uint64_t *: 512 64k 10m 1g */
	OPTION_LIST,     /* struct option_list *; may be repeated */
	OPTION_RATE,     /* struct option_rate *: 1000/200, or 0 for none */
	/* struct option_optional *: --x alone or --x=A,B; may be repeated. Only
	 * with "=": the next word is never its value. */
	OPTION_OPTIONAL,
};

#define OPTION_RATE_MAX 1000000000 /* of both numbers */

struct option_rate {
	uint64_t per_min; /* 0: no limit */
	uint64_t burst;
};

struct option_list {
	const char **items; /* points into argv; free() the array */
	size_t n;
};

struct option_optional {
	bool alone;              /* was there without a value */
	struct option_list list; /* values as they were given: "A,B" */
};

struct option_spec {
	const char *name; /* long name without dashes */
	char letter;      /* 0 for none */
	enum option_type type;
	size_t offset; /* of the field in the target struct */
	/* Name of the argument in help; "[=A,...]" of an optional one; NULL for
	 * flags. */
	const char *arg;
	const char *initial; /* default as the user would type it, or NULL */
	const char *help;
};

/*
 * Fills target from defaults, then from argv. Options end at "--" or, when
 * stop_early, at the first word that is no option. *first is the index of the
 * first word left over. Returns 0, or -EINVAL with a message for the user in
 * err (what is wrong, with which value, what is accepted).
 */
int options_parse(const struct option_spec *specs, size_t n, int argc,
		  char **argv, bool stop_early, void *target, int *first,
		  char *err, size_t err_size) MUST_CHECK;

/* Prints one aligned line an option to stdout. */
void options_help(const struct option_spec *specs, size_t n);

/* Cuts the next item off a value such as "A,B": *at begins as the value and is
 * NULL after the last. Sets its length; items may be empty. */
const char *option_next_item(const char **at, size_t *len);

/* A whole number, for use elsewhere. 0 or -EINVAL. */
int option_parse_uint(const char *s, uint64_t *out) MUST_CHECK;
/* As OPTION_DURATION and OPTION_BYTES have it. 0 or -EINVAL. */
int option_parse_duration(const char *s, uint64_t *ms) MUST_CHECK;
int option_parse_bytes(const char *s, uint64_t *bytes) MUST_CHECK;
/* "A-MINUTE/BURST", each 1 to OPTION_RATE_MAX, or "0". 0 or -EINVAL. */
int option_parse_rate(const char *s, struct option_rate *out) MUST_CHECK;
