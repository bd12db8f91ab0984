#include "common/options.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <string.h>

#define OPTIONS_MAX 64
#define OPTIONS_LONG_BASE 256 /* getopt values of options without a letter */

struct option_unit {
	const char *suffix;
	uint64_t factor;
};

int option_parse_uint(const char *s, uint64_t *out)
{
	char *end;

	if (*s < '0' || *s > '9')
		return -EINVAL;
	errno = 0;
	*out = strtoull(s, &end, 10);
	return errno || *end ? -EINVAL : 0;
}

/* NUMBER[.DIGITS]SUFFIX, exact to the suffix's smallest unit. */
static int option_parse_scaled(const char *s, const struct option_unit *units,
			       size_t n, uint64_t *out)
{
	char *end;
	double value;

	if (*s < '0' || *s > '9')
		return -EINVAL;
	errno = 0;
	value = strtod(s, &end);
	if (errno || strspn(s, "0123456789.") != (size_t)(end - s))
		return -EINVAL;
	for (size_t i = 0; i < n; i++) {
		if (strcasecmp(end, units[i].suffix) != 0)
			continue;
		value *= (double)units[i].factor;
		if (value >= 9.0e18)
			return -EINVAL;
		*out = (uint64_t)(value + 0.5);
		return 0;
	}
	return -EINVAL;
}

int option_parse_duration(const char *s, uint64_t *ms)
{
	static const struct option_unit units[] = {
		{ "", 1000 },       { "s", 1000 },    { "ms", 1 },
		{ "m", 60 * 1000 }, { "h", 3600000 }, { "d", 86400000 },
	};

	return option_parse_scaled(s, units, ARRAY_SIZE(units), ms);
}

int option_parse_bytes(const char *s, uint64_t *bytes)
{
	static const struct option_unit units[] = {
		{ "", 1 },           { "b", 1 },           { "k", 1 << 10 },
		{ "kb", 1 << 10 },   { "m", 1 << 20 },     { "mb", 1 << 20 },
		{ "g", 1ULL << 30 }, { "gb", 1ULL << 30 },
	};

	return option_parse_scaled(s, units, ARRAY_SIZE(units), bytes);
}

int option_parse_rate(const char *s, struct option_rate *out)
{
	char per_min[24];
	const char *slash = strchr(s, '/');

	*out = (struct option_rate){ 0 };
	if (!strcmp(s, "0"))
		return 0;
	if (!slash || (size_t)(slash - s) >= sizeof(per_min))
		return -EINVAL;
	memcpy(per_min, s, (size_t)(slash - s));
	per_min[slash - s] = '\0';
	if (option_parse_uint(per_min, &out->per_min) < 0 ||
	    option_parse_uint(slash + 1, &out->burst) < 0 || !out->per_min ||
	    !out->burst || out->per_min > OPTION_RATE_MAX ||
	    out->burst > OPTION_RATE_MAX)
		return -EINVAL;
	return 0;
}

static int option_append(struct option_list *list, const char *value)
{
	const char **items = realloc(list->items,
				     (list->n + 1) * sizeof(*items));

	if (!items)
		return -ENOMEM;
	items[list->n++] = value;
	list->items = items;
	return 0;
}

/* NULL is the option alone; "--x=" is more likely an empty variable. */
static int option_append_optional(struct option_optional *o, const char *value)
{
	if (value)
		return *value ? option_append(&o->list, value) : -EINVAL;
	o->alone = true;
	return 0;
}

const char *option_next_item(const char **at, size_t *len)
{
	const char *item = *at;

	*len = strcspn(item, ",");
	*at = item[*len] ? item + *len + 1 : NULL;
	return item;
}

static const char *option_expects(enum option_type type)
{
	switch (type) {
	case OPTION_UINT:
		return "a whole number";
	case OPTION_DURATION:
		return "a duration such as 500ms, 30s, 5m or 2h";
	case OPTION_BYTES:
		return "a size such as 512, 64k, 10m or 1g";
	case OPTION_RATE:
		return "a rate such as 1000/200 (a minute, at once), or 0 for "
		       "none";
	case OPTION_OPTIONAL:
		return "a list such as A,B; without \"=\" it is for all";
	default:
		return "a value";
	}
}

static int option_store(const struct option_spec *spec, void *target,
			const char *value)
{
	void *field = (char *)target + spec->offset;

	switch (spec->type) {
	case OPTION_FLAG:
		*(bool *)field = true;
		return 0;
	case OPTION_STRING:
		*(const char **)field = value;
		return 0;
	case OPTION_UINT:
		return option_parse_uint(value, field);
	case OPTION_DURATION:
		return option_parse_duration(value, field);
	case OPTION_BYTES:
		return option_parse_bytes(value, field);
	case OPTION_LIST:
		return option_append(field, value);
	case OPTION_RATE:
		return option_parse_rate(value, field);
	case OPTION_OPTIONAL:
		return option_append_optional(field, value);
	}
	return -EINVAL;
}

static int option_set(const struct option_spec *spec, void *target,
		      const char *value, char *err, size_t err_size)
{
	int r = option_store(spec, target, value);

	if (r == -EINVAL)
		snprintf(err, err_size, "--%s: '%s' is not %s", spec->name,
			 value, option_expects(spec->type));
	else if (r < 0)
		snprintf(err, err_size, "--%s: %s", spec->name, strerror(-r));
	return r < 0 ? -EINVAL : 0;
}

struct option_tables {
	struct option longs[OPTIONS_MAX + 1];
	char letters[3 * OPTIONS_MAX + 3];
};

/* getopt's numbers are also those of the colons after a letter. */
static int option_has_arg(enum option_type type)
{
	if (type == OPTION_FLAG)
		return no_argument;
	return type == OPTION_OPTIONAL ? optional_argument : required_argument;
}

static void option_tables_fill(struct option_tables *t,
			       const struct option_spec *specs, size_t n,
			       bool stop_early)
{
	char *letter = t->letters;

	*letter++ = stop_early ? '+' : '-';
	*letter++ = ':';
	for (size_t i = 0; i < n; i++) {
		int has_arg = option_has_arg(specs[i].type);

		t->longs[i] = (struct option){
			.name = specs[i].name,
			.has_arg = has_arg,
			.val = (int)(OPTIONS_LONG_BASE + i),
		};
		if (!specs[i].letter)
			continue;
		*letter++ = specs[i].letter;
		for (int colons = 0; colons < has_arg; colons++)
			*letter++ = ':';
	}
	*letter = '\0';
}

static const struct option_spec *option_find(const struct option_spec *specs,
					     size_t n, int value)
{
	if (value >= OPTIONS_LONG_BASE)
		return &specs[value - OPTIONS_LONG_BASE];
	for (size_t i = 0; i < n; i++)
		if (value && specs[i].letter == value)
			return &specs[i];
	return NULL;
}

/* getopt's complaint in the user's words. */
static int option_complain(int value, const struct option_spec *specs, size_t n,
			   char **argv, char *err, size_t err_size)
{
	const struct option_spec *spec = option_find(specs, n, optopt);

	if (value == ':')
		snprintf(err, err_size, "--%s needs %s",
			 spec ? spec->name : argv[optind - 1],
			 spec ? option_expects(spec->type) : "a value");
	else if (spec)
		snprintf(err, err_size, "--%s takes no value", spec->name);
	else
		snprintf(err, err_size,
			 "unknown option '%s': --help lists the options",
			 argv[optind - 1]);
	return -EINVAL;
}

/* Moves the words that are no options behind the options, like GNU getopt
 * does, but keeps what follows "--" apart by stopping there. */
int options_parse(const struct option_spec *specs, size_t n, int argc,
		  char **argv, bool stop_early, void *target, int *first,
		  char *err, size_t err_size)
{
	struct option_tables tables = { 0 };
	int value, words = 0, r;
	char **moved = NULL;

	for (size_t i = 0; i < n; i++)
		if (specs[i].initial &&
		    option_set(&specs[i], target, specs[i].initial, err,
			       err_size) < 0)
			return -EINVAL;
	option_tables_fill(&tables, specs, n, stop_early);
	moved = calloc((size_t)argc + 1, sizeof(*moved));
	if (!moved) {
		snprintf(err, err_size, "out of memory");
		return -EINVAL;
	}
	optind = 0;
	opterr = 0;
	r = 0;
	while (r == 0 && (value = getopt_long(argc, argv, tables.letters,
					      tables.longs, NULL)) != -1) {
		if (value == 1)
			moved[words++] = optarg;
		else if (value == '?' || value == ':')
			r = option_complain(value, specs, n, argv, err,
					    err_size);
		else
			r = option_set(option_find(specs, n, value), target,
				       optarg, err, err_size);
	}
	/* Words before the end of options go directly in front of the rest. */
	if (r == 0) {
		*first = optind - words;
		memcpy(&argv[*first], moved, (size_t)words * sizeof(*moved));
	}
	free(moved);
	return r;
}

void options_help(const struct option_spec *specs, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		char left[64];

		snprintf(left, sizeof(left), "%c%c%s --%s%s%s",
			 specs[i].letter ? '-' : ' ',
			 specs[i].letter ? specs[i].letter : ' ',
			 specs[i].letter ? "," : " ", specs[i].name,
			 specs[i].type == OPTION_OPTIONAL ? "" : " ",
			 specs[i].arg ? specs[i].arg : "");
		printf("  %-31s  %s", left, specs[i].help);
		if (specs[i].initial)
			printf(" [%s]", specs[i].initial);
		putchar('\n');
	}
}
