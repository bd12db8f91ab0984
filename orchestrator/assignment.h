/*
 * One claimed execution: what the backend's ASSIGN, SCRIPT and INPUT say, and
 * the two ASSIGN messages made of it, for the sidecar and for the runner.
 * Pure. Holds tokens: its memory is overwritten when it is freed.
 */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/buf.h"
#include "common/macro.h"
#include "orchestrator/ssh_host.h"

struct executor_place;
struct executor_spec;
struct runtime;
struct runtime_allow;
struct runtime_config;

struct shares;

/* What a capability is shown of the machine (shares.h). */
enum assignment_shares {
	ASSIGNMENT_SHARES_NONE,
	ASSIGNMENT_SHARES_LISTED, /* what its permissions list */
	ASSIGNMENT_SHARES_ALL,    /* every share */
};

/* How long a script has to end by itself after SIGTERM. */
#define ASSIGNMENT_GRACE_MS 5000

struct assignment {
	json_t *json; /* the ASSIGN; owns the strings below */
	const char *execution, *job;
	const char *trace; /* its trace id; NULL where there is none */
	int64_t epoch;
	uint32_t lease_ms;
	uint32_t keep_ms;     /* how long its pod outlives us; set by pod.c */
	unsigned int retries; /* after its first attempt */
	const char *runtime_token, *backend_token;
	/* From the specification. */
	const struct runtime *runtime;
	struct runtime_config *config;
	const char *name;     /* the script's file name; of a payload a path */
	const char *executor; /* auto | docker | sandbox | ssh */
	const char *image;    /* NULL: the runtime's own */
	bool egress;
	struct ssh_host host; /* name NULL: it runs here */
	uint64_t timeout_ms;  /* 0: none */
	uint32_t memory_mb;
	uint32_t cpu_milli;
	uint32_t pids;
	size_t script_bytes, input_bytes; /* announced */
	struct buf script, input;
	const char *signature;   /* of script; "": none */
	const char *payload_key; /* verifies it, as the runner's --key */
	bool payload;            /* script is an archive */
	/* Of a capability's job, which no user can set. */
	const char *capability; /* its name; NULL: a script */
	enum assignment_shares shares;
	bool processes; /* it sees those of the machine */
	/* Set by the agent: where shares come from. */
	const struct shares *offered;
};

/*
 * Parses an ASSIGN message. 0, -ENOMEM, or -EINVAL with a sentence in err;
 * then *out is still set, with execution and epoch, when those could be read,
 * so that the failure can be reported, and NULL when not.
 */
int assignment_new(struct assignment **out, const void *data, size_t len,
		   char *err, size_t err_size) MUST_CHECK;
void assignment_free(struct assignment *a);
DEFINE_CLEANUP(struct assignment *, assignment_free)

/* Where its script may connect to. */
const struct runtime_allow *assignment_net(const struct assignment *a);
/* What the executor needs; points into a. pod is taken over. */
void assignment_executor_spec(const struct assignment *a, const char *pod,
			      struct executor_spec *out);

/* What of it is written down, a new reference; NULL when out of memory. And
 * what comes of that: an assignment without tokens, program and input. As
 * assignment_new(). */
json_t *assignment_describe(const struct assignment *a);
int assignment_restore(struct assignment **out, const char *execution,
		       const char *job, const json_t *described, char *err,
		       size_t err_size) MUST_CHECK;
/* When the job was submitted; 0: not known. */
int64_t assignment_created_ms(const struct assignment *a);

/* Appends the ASSIGN for the sidecar; executor is the name of the one that
 * was chosen, which scripts see in their context. 0 or -ENOMEM. */
int assignment_for_sidecar(const struct assignment *a, const char *executor,
			   struct buf *out) MUST_CHECK;
/* Appends the ASSIGN for the runner. 0 or -ENOMEM. */
int assignment_for_runner(const struct assignment *a,
			  const struct executor_place *place,
			  struct buf *out) MUST_CHECK;
