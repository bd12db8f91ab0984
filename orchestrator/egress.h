/*
 * Where a job may connect to through its egress proxy: the `net` permission,
 * true or a list of HOST, HOST:PORT, *.HOST. Says nothing of addresses: those
 * are checked when the name is looked up (egress_connect.h). Pure.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/macro.h"

#define EGRESS_RULES_MAX 256
/* Refused targets that a job's log names; the rest is only counted. */
#define EGRESS_NOTICES_MAX 32

struct egress;
struct runtime_allow;

/* Whether the permission opens the network at all. */
bool egress_wanted(const struct runtime_allow *net);

/* net is copied; NULL allows nothing. 0 or negative errno. */
int egress_new(struct egress **out, const struct runtime_allow *net) MUST_CHECK;
void egress_free(struct egress *e);
DEFINE_CLEANUP(struct egress *, egress_free)

/* host: of net_host_normal(). A rule without a port stands for 80 and 443. */
bool egress_permits(const struct egress *e, const char *host, uint16_t port);

/* True where the log shall name this target: the first time, and not after
 * EGRESS_NOTICES_MAX of them; *last says that this is the last one. */
bool egress_note(struct egress *e, const char *host, uint16_t port, bool *last);
