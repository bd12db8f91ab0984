/*
 * What capabilities may reach of the machine and of hosts: directories that
 * the operator names, `--share [HOST:]PATH[:rw]`. Pods of capability jobs show
 * those of this machine at the same path, read-only without :rw; on a host the
 * runner holds its program to them. Pure but for shares_add(), which looks at
 * the directory.
 */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "common/macro.h"

struct runtime_permissions;

#define SHARES_MAX 32
#define SHARES_ANY_HOST "*"

struct share {
	char *host; /* NULL: this machine; "*": every host */
	char *path; /* absolute, canonical */
	bool write;
};

/* Zero-initialised is empty and valid. */
struct shares {
	struct share *items; /* by path: what lies in another comes after */
	size_t n;
};

/*
 * text as the option has it; kept: directories of our own that no share may
 * show, ended by NULL. 0, -EINVAL with a sentence in err, or -ENOMEM.
 */
int shares_add(struct shares *s, const char *text, const char *const *kept,
	       char *err, size_t err_size) MUST_CHECK;
void shares_deinit(struct shares *s);

/* Whether it is to be had in that place; host NULL: this machine. */
bool share_is_for(const struct share *share, const char *host);
/* The innermost share of that place in which path lies; NULL: none. */
const struct share *shares_find(const struct shares *s, const char *host,
				const char *path);

/* Whether every path that is listed lies in a share; else false, with a
 * sentence that says how to share it. */
bool shares_allow(const struct shares *s, const char *host,
		  const struct runtime_permissions *p, char *why,
		  size_t why_size);

/* Those of that place for the runner's ASSIGN: [{"path","write"}]. read_only:
 * none may be written. NULL on ENOMEM. */
json_t *shares_json(const struct shares *s, const char *host, bool read_only);
