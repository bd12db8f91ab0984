/* cronium doctor: is everything there, and how is it mended? */
#include <jansson.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "cli/command.h"
#include "cli/doctor.h"
#include "cli/output.h"
#include "common/json.h"

#define DOCTOR_DETAIL_BYTES 512

struct doctor_options {
	struct cli_globals globals;
};

static const struct option_spec doctor_specs[] = { CLI_SERVER_OPTIONS };

struct doctor {
	const struct cli_globals *globals;
	struct place place;
	struct doctor_findings findings;
	const struct doctor_check *check; /* the one that runs */
	unsigned int reports;             /* of this check */
	unsigned int counts[3];           /* by level */
	json_t *list;                     /* --json */
};

static const struct doctor_check doctor_checks[] = {
	{ "programs", doctor_check_programs },
	{ "data", doctor_check_data },
	{ "keys", doctor_check_keys },
	{ "docker", doctor_check_engine },
	{ "namespaces", doctor_check_namespaces },
	{ "bubblewrap", doctor_check_bubblewrap },
	{ "executors", doctor_check_executors },
	{ "cgroups", doctor_check_cgroups },
	{ "seccomp", doctor_check_seccomp },
	{ "overlay", doctor_check_overlay },
	{ "runtimes", doctor_check_runtimes },
	{ "port", doctor_check_port },
	{ "clock", doctor_check_clock },
	{ "server", doctor_check_server },
};

static const struct {
	const char *name, *colour;
} doctor_levels[] = {
	[DOCTOR_OK] = { "ok", OUTPUT_GREEN },
	[DOCTOR_WARN] = { "warn", OUTPUT_YELLOW },
	[DOCTOR_FAIL] = { "fail", OUTPUT_RED },
};

const struct place *doctor_place(const struct doctor *d)
{
	return &d->place;
}

const struct cli_globals *doctor_globals(const struct doctor *d)
{
	return d->globals;
}

struct doctor_findings *doctor_findings(struct doctor *d)
{
	return &d->findings;
}

static void doctor_print(const struct doctor *d, enum doctor_level level,
			 const char *mend, const char *detail)
{
	output_coloured(doctor_levels[level].colour, doctor_levels[level].name);
	printf("%*s%-11s %s\n", (int)(6 - strlen(doctor_levels[level].name)),
	       "", d->reports > 1 ? "" : d->check->name, detail);
	if (mend && level != DOCTOR_OK)
		printf("%18s→ %s\n", "", mend);
}

void doctor_report(struct doctor *d, enum doctor_level level, const char *mend,
		   const char *detail, ...)
{
	char text[DOCTOR_DETAIL_BYTES];
	va_list ap;

	va_start(ap, detail);
	vsnprintf(text, sizeof(text), detail, ap);
	va_end(ap);
	d->reports++;
	d->counts[level]++;
	if (!d->list)
		doctor_print(d, level, mend, text);
	else
		json_array_append_new(
			d->list,
			json_pack("{s:s,s:s,s:s,s:s?}", "check", d->check->name,
				  "level", doctor_levels[level].name, "detail",
				  text, "mend",
				  level == DOCTOR_OK ? NULL : mend));
}

static void doctor_print_json(struct doctor *d)
{
	_cleanup_json_ json_t *all = json_pack("{s:b,s:O}", "ok",
					       !d->counts[DOCTOR_FAIL],
					       "checks", d->list);

	if (all)
		output_json(all);
}

static int doctor_run(const void *options, char **words, size_t n_words)
{
	const struct doctor_options *o = options;
	struct doctor d = { .globals = &o->globals };

	if (place_find(&d.place, &o->globals) < 0)
		return CLI_USAGE;
	d.list = o->globals.json ? json_array() : NULL;
	for (size_t i = 0; i < ARRAY_SIZE(doctor_checks); i++) {
		d.check = &doctor_checks[i];
		d.reports = 0;
		d.check->run(&d);
		fflush(stdout);
	}
	if (o->globals.json)
		doctor_print_json(&d);
	else if (d.counts[DOCTOR_FAIL])
		printf("\n%u to mend.\n", d.counts[DOCTOR_FAIL]);
	else
		printf("\nScripts can run here.\n");
	json_decref(d.list);
	return d.counts[DOCTOR_FAIL] ? CLI_FAILED : CLI_OK;
}

const struct command command_doctor = {
	.name = "doctor",
	.words = "",
	.summary = "Checks this machine and says how to mend what is amiss",
	.details = "Ends with 1 if something has to be mended before scripts "
		   "can run.\n",
	.options = doctor_specs,
	.n_options = ARRAY_SIZE(doctor_specs),
	.options_bytes = sizeof(struct doctor_options),
	.run = doctor_run,
};
