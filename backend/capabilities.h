/*
 * The capabilities that there are: those that are built in, by name. Read
 * once, when the backend starts; a mistake in a file ends it there.
 */
#pragma once

#include <stddef.h>

#include "backend/capability.h"
#include "common/macro.h"

struct capabilities;

/* 0, or negative errno with a sentence in err. */
int capabilities_new(struct capabilities **out, char *err,
		     size_t err_size) MUST_CHECK;
/* NULL is fine. */
void capabilities_free(struct capabilities *c);

/* NULL: there is none. */
const struct capability *capabilities_find(const struct capabilities *c,
					   const char *name);
/* By name: i from 0 on, NULL after the last. */
const struct capability *capabilities_at(const struct capabilities *c,
					 size_t i);
