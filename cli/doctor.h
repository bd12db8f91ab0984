/* The checks of `cronium doctor`: each says what it found, and where it is not
 * well, how to mend it. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "cli/place.h"
#include "common/macro.h"

enum doctor_level { DOCTOR_OK, DOCTOR_WARN, DOCTOR_FAIL };

struct cli_globals;
struct doctor;

/* What one check may leave for a later one. */
struct doctor_findings {
	bool docker;
	bool namespaces;
	bool sandbox;
};

struct doctor_check {
	const char *name;
	void (*run)(struct doctor *d);
};

/* detail: what was found; mend: what to do, NULL for DOCTOR_OK. */
void doctor_report(struct doctor *d, enum doctor_level level, const char *mend,
		   const char *detail, ...) PRINTF_LIKE(4, 5);
const struct place *doctor_place(const struct doctor *d);
const struct cli_globals *doctor_globals(const struct doctor *d);
struct doctor_findings *doctor_findings(struct doctor *d);

/* doctor_host.c */
void doctor_check_programs(struct doctor *d);
void doctor_check_namespaces(struct doctor *d);
void doctor_check_cgroups(struct doctor *d);
void doctor_check_seccomp(struct doctor *d);
void doctor_check_overlay(struct doctor *d);
void doctor_check_runtimes(struct doctor *d);
void doctor_check_clock(struct doctor *d);
/* doctor_place.c */
void doctor_check_data(struct doctor *d);
void doctor_check_keys(struct doctor *d);
void doctor_check_port(struct doctor *d);
/* doctor_executor.c */
void doctor_check_engine(struct doctor *d);
void doctor_check_bubblewrap(struct doctor *d);
void doctor_check_executors(struct doctor *d);
/* doctor_server.c */
void doctor_check_server(struct doctor *d);
