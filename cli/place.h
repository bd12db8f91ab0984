/*
 * Where a local server keeps its things, by ARCHITECTURE.md:
 *
 *   DATA   --data-dir, $CRONIUM_DATA_DIR, $XDG_DATA_HOME/cronium,
 *          ~/.local/share/cronium
 *   RUN    --run-dir, $CRONIUM_RUN_DIR, $XDG_RUNTIME_DIR/cronium where DATA is
 *          the default, DATA/run
 */
#pragma once

#include <limits.h>
#include <stddef.h>

#include "common/macro.h"

#define PLACE_SERVICE_RUN "/var/lib/cronium/run"

struct cli_globals;

struct place {
	char data[PATH_MAX];
	char run[PATH_MAX];
};

/* 0, or -EINVAL after an error message. */
int place_find(struct place *out, const struct cli_globals *globals) MUST_CHECK;
/* Makes both, 0700. 0, or negative errno after an error message. */
int place_make(const struct place *p) MUST_CHECK;
/* RUN/gateway, 0700, even where it was wider. The same. */
int place_make_gateway(const struct place *p) MUST_CHECK;
/* The program NAME: beside this one, in ../libexec/cronium, or in $PATH. */
int place_program(const char *name, char *out, size_t size) MUST_CHECK;
