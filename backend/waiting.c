#include "backend/waiting.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "backend/executor_list.h"
#include "backend/store_record.h"

/* Which of the agents are left, with each step of the questions. */
typedef bool waiting_fits_fn(const struct store_job *job,
			     const struct waiting_agent *a);

static bool fits_name(const struct store_job *job,
		      const struct waiting_agent *a)
{
	return !job->want_agent || !strcmp(job->want_agent, a->name);
}

static bool fits_executor(const struct store_job *job,
			  const struct waiting_agent *a)
{
	return executor_list_has(a->executors, job->executor);
}

static bool fits_labels(const struct store_job *job,
			const struct waiting_agent *a)
{
	return a->labelled;
}

static bool fits_drain(const struct store_job *job,
		       const struct waiting_agent *a)
{
	return !a->drained;
}

static bool fits_guard(const struct store_job *job,
		       const struct waiting_agent *a)
{
	return !a->refusing;
}

/* One of its executors that suits the job is there. */
static bool fits_away(const struct store_job *job,
		      const struct waiting_agent *a)
{
	char able[EXECUTOR_LIST_MAX_BYTES];

	executor_list_without(a->executors, a->away, able, sizeof(able));
	return executor_list_has(able, job->executor);
}

static bool fits_slots(const struct store_job *job,
		       const struct waiting_agent *a)
{
	return a->leases < a->slots;
}

static const struct waiting_step {
	enum waiting_code code; /* where nobody is left */
	waiting_fits_fn *fits;
} waiting_steps[] = {
	{ WAITING_AGENT_AWAY, fits_name }, { WAITING_EXECUTOR, fits_executor },
	{ WAITING_LABELS, fits_labels },   { WAITING_DRAINED, fits_drain },
	{ WAITING_GUARD, fits_guard },     { WAITING_EXECUTOR_AWAY, fits_away },
	{ WAITING_SLOTS, fits_slots },
};

/* Whether the agent passes the first n questions. */
static bool waiting_passes(const struct store_job *job,
			   const struct waiting_agent *a, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (!waiting_steps[i].fits(job, a))
			return false;
	return true;
}

/* How many are left after the first n questions; one of them. */
static size_t waiting_left(const struct store_job *job,
			   const struct waiting_place *place, size_t n,
			   const struct waiting_agent **one)
{
	size_t left = 0;

	for (size_t i = place->n; i-- > 0;)
		if (waiting_passes(job, &place->agents[i], n)) {
			*one = &place->agents[i];
			left++;
		}
	return left;
}

static size_t waiting_slots(const struct store_job *job,
			    const struct waiting_place *place, size_t n)
{
	size_t slots = 0;

	for (size_t i = 0; i < place->n; i++)
		if (waiting_passes(job, &place->agents[i], n))
			slots += place->agents[i].slots;
	return slots;
}

/* --- the words ----------------------------------------------------------- */

PRINTF_LIKE(3, 4)
static void say(struct waiting *out, enum waiting_code code, const char *fmt,
		...)
{
	va_list ap;

	out->code = code;
	va_start(ap, fmt);
	vsnprintf(out->message, sizeof(out->message), fmt, ap);
	va_end(ap);
}

static void say_executor(const struct store_job *job, struct waiting *out)
{
	if (job->want_agent)
		say(out, WAITING_EXECUTOR,
		    "the orchestrator '%.64s' has not the executor '%s'",
		    job->want_agent, job->executor);
	else if (!strcmp(job->executor, "docker"))
		say(out, WAITING_EXECUTOR,
		    "no orchestrator here runs Docker jobs: no engine answers "
		    "it ('cronium doctor' says how to mend that), or use "
		    "--executor sandbox");
	else
		say(out, WAITING_EXECUTOR,
		    "no orchestrator here has the executor '%s' ('cronium "
		    "doctor' says why)",
		    job->executor);
}

/* one of the n agents that would take it but for this. */
static void say_drained(const struct waiting_agent *one, size_t n,
			struct waiting *out)
{
	if (n == 1)
		say(out, WAITING_DRAINED,
		    "the orchestrator '%.64s' is drained ('cronium agent "
		    "undrain %.64s')",
		    one->name, one->name);
	else
		say(out, WAITING_DRAINED,
		    "all %zu orchestrators that could run it are drained "
		    "('cronium agents')",
		    n);
}

static void say_guard(const struct waiting_agent *one, size_t n,
		      struct waiting *out)
{
	if (n == 1)
		say(out, WAITING_GUARD, "the guard of agent %.64s: %.600s",
		    one->name, one->problem);
	else
		say(out, WAITING_GUARD,
		    "the guards of all %zu agents that could run it; of "
		    "%.64s: %.500s",
		    n, one->name, one->problem);
}

static void say_away(const struct waiting_agent *one, size_t n,
		     struct waiting *out)
{
	if (n == 1)
		say(out, WAITING_EXECUTOR_AWAY, "%.600s (agent %.64s)",
		    one->problem, one->name);
	else
		say(out, WAITING_EXECUTOR_AWAY,
		    "%.500s (agent %.64s; so it is with all %zu that could "
		    "run it)",
		    one->problem, one->name, n);
}

static void say_slots(size_t slots, struct waiting *out)
{
	if (slots == 1)
		say(out, WAITING_SLOTS, "the only slot is taken");
	else
		say(out, WAITING_SLOTS, "all %zu slots are taken", slots);
}

static void say_step(const struct store_job *job,
		     const struct waiting_place *place, size_t step,
		     struct waiting *out)
{
	const struct waiting_agent *one = NULL;
	size_t n = waiting_left(job, place, step, &one);

	switch (waiting_steps[step].code) {
	case WAITING_AGENT_AWAY:
		say(out, WAITING_AGENT_AWAY,
		    "it is for the orchestrator '%.64s', which is not "
		    "connected",
		    job->want_agent);
		break;
	case WAITING_EXECUTOR:
		say_executor(job, out);
		break;
	case WAITING_LABELS:
		say(out, WAITING_LABELS,
		    "no orchestrator that could run it has the labels that "
		    "it asks for ('cronium agents' shows them)");
		break;
	case WAITING_DRAINED:
		say_drained(one, n, out);
		break;
	case WAITING_GUARD:
		say_guard(one, n, out);
		break;
	case WAITING_EXECUTOR_AWAY:
		say_away(one, n, out);
		break;
	default:
		say_slots(waiting_slots(job, place, step), out);
	}
}

/* --- the questions ------------------------------------------------------- */

static void waiting_ask(const struct store_job *job,
			const struct waiting_place *place, struct waiting *out)
{
	const struct waiting_agent *one;

	for (size_t i = 0; i < ARRAY_SIZE(waiting_steps); i++)
		if (!waiting_left(job, place, i + 1, &one)) {
			say_step(job, place, i, out);
			return;
		}
}

void waiting_explain(const struct store_job *job,
		     const struct waiting_place *place, struct waiting *out)
{
	*out = (struct waiting){ .code = WAITING_NONE };
	if (job->state != JOB_QUEUED)
		return;
	if (job->held)
		say(out, WAITING_SESSION_PAUSED,
		    "its session %.64s is paused%s%.200s",
		    job->session_name ? job->session_name : "",
		    job->session_reason ? ": " : "",
		    job->session_reason ? job->session_reason : "");
	else if (job->not_before_ms)
		say(out, WAITING_RETRY,
		    "%.400s; it is tried again after a pause",
		    job->reason ? job->reason : "its last attempt failed");
	else if (place->problem)
		say(out, WAITING_STORE,
		    "the server cannot give it to an orchestrator: %s",
		    place->problem);
	else if (!place->n)
		say(out, WAITING_NO_AGENT, "no orchestrator is connected");
	else
		waiting_ask(job, place, out);
}

/* --- codes --------------------------------------------------------------- */

bool waiting_is_refused(enum waiting_code code)
{
	return code != WAITING_NONE && code != WAITING_RETRY &&
	       code != WAITING_SLOTS;
}

bool waiting_is_absence(enum waiting_code code)
{
	return code == WAITING_NO_AGENT || code == WAITING_AGENT_AWAY ||
	       code == WAITING_EXECUTOR || code == WAITING_LABELS;
}

const char *waiting_code_name(enum waiting_code code)
{
	static const char *const names[WAITING_CODES] = {
		[WAITING_SESSION_PAUSED] = "session_paused",
		[WAITING_RETRY] = "retry",
		[WAITING_STORE] = "store",
		[WAITING_NO_AGENT] = "no_agent",
		[WAITING_AGENT_AWAY] = "agent_away",
		[WAITING_EXECUTOR] = "executor",
		[WAITING_LABELS] = "labels",
		[WAITING_DRAINED] = "drained",
		[WAITING_GUARD] = "guard",
		[WAITING_EXECUTOR_AWAY] = "executor_away",
		[WAITING_SLOTS] = "slots",
	};

	return (unsigned int)code < WAITING_CODES ? names[code] : NULL;
}

json_t *waiting_json(const struct waiting *w)
{
	const char *code = waiting_code_name(w->code);

	return code ? json_pack("{s:s,s:s}", "code", code, "message",
				w->message)
		    : json_null();
}
