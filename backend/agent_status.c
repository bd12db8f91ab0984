#include "backend/agent_status.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uthash.h>

#include "common/id.h"
#include "common/json.h"

struct agent_pod {
	char execution[ID_MAX_BYTES];
	int64_t cpu_us;
	UT_hash_handle hh;
};

struct agent_usage {
	struct agent_pod *pods;
	int64_t at_ms;
};

void agent_usage_free(struct agent_usage *usage)
{
	struct agent_pod *p, *tmp;

	if (!usage)
		return;
	HASH_ITER(hh, usage->pods, p, tmp)
	{
		HASH_DEL(usage->pods, p);
		free(p);
	}
	free(usage);
}
DEFINE_CLEANUP(struct agent_usage *, agent_usage_free)

static int usage_add(struct agent_usage *u, const char *execution,
		     int64_t cpu_us)
{
	struct agent_pod *p = calloc(1, sizeof(*p)), *old;

	if (!p)
		return -ENOMEM;
	snprintf(p->execution, sizeof(p->execution), "%s", execution);
	p->cpu_us = cpu_us;
	HASH_FIND_STR(u->pods, p->execution, old);
	if (!old)
		HASH_ADD_STR(u->pods, execution, p);
	if (old || !p->hh.tbl) {
		free(p);
		return old ? 0 : -ENOMEM;
	}
	return 0;
}

/* Of one core since the beat before, to a tenth; -1 where it is not known. */
static double usage_percent(const struct agent_usage *before,
			    const char *execution, int64_t cpu_us,
			    int64_t now_ms)
{
	struct agent_pod *p = NULL;
	int64_t ms = before ? now_ms - before->at_ms : 0, per_mille;

	if (before)
		HASH_FIND_STR(before->pods, execution, p);
	if (!p || ms <= 0 || cpu_us < p->cpu_us)
		return -1;
	per_mille = (cpu_us - p->cpu_us + ms / 2) / ms;
	return (double)per_mille / 10;
}

/* --- reading -------------------------------------------------------------- */

static json_t *pod_number(const json_t *pod, const char *name)
{
	json_t *v = json_object_get(pod, name);

	return json_is_integer(v) && json_integer_value(v) >= 0 ? json_incref(v)
								: json_null();
}

/* In the form that is handed out; NULL on ENOMEM. */
static json_t *pod_read(const json_t *pod, const char *execution,
			double percent)
{
	return json_pack("{s:s,s:s?,s:s?,s:o,s:o,s:o,s:o}", "execution",
			 execution, "job", json_get_str(pod, "job", NULL),
			 "state", json_get_str(pod, "state", NULL), "cpu_us",
			 pod_number(pod, "cpu_us"), "cpu_percent",
			 percent < 0 ? json_null() : json_real(percent),
			 "memory_bytes", pod_number(pod, "memory_bytes"),
			 "pids", pod_number(pod, "pids"));
}

static int pods_take(json_t *out, const json_t *pod,
		     const struct agent_usage *before, struct agent_usage *now)
{
	const char *execution = json_get_str(pod, "execution", "");
	int64_t cpu_us = json_get_int(pod, "cpu_us", -1);
	double percent = -1;
	int r = 0;

	if (!id_valid("ex", execution))
		return -EINVAL;
	if (cpu_us >= 0) {
		percent = usage_percent(before, execution, cpu_us, now->at_ms);
		r = usage_add(now, execution, cpu_us);
	}
	if (r == 0 &&
	    json_array_append_new(out, pod_read(pod, execution, percent)))
		r = -ENOMEM;
	return r;
}

static int pods_read(struct agent_status *s, const json_t *pods,
		     struct agent_usage **usage, int64_t now_ms)
{
	_cleanup_(agent_usage_freep) struct agent_usage *now =
		calloc(1, sizeof(*now));
	_cleanup_json_ json_t *out = json_array();
	json_t *pod;
	size_t i;
	int r = 0;

	if (!now || !out)
		return -ENOMEM;
	if (pods && (!json_is_array(pods) ||
		     json_array_size(pods) > AGENT_STATUS_PODS_MAX))
		return -EINVAL;
	now->at_ms = now_ms;
	json_array_foreach(pods, i, pod)
		if ((r = pods_take(out, pod, *usage, now)))
			return r;
	agent_usage_free(*usage);
	*usage = now;
	now = NULL;
	return json_append(&s->pods, out);
}

static int snapshot_read(struct agent_status *s, const json_t *snapshot)
{
	int r;

	if (!snapshot || json_is_null(snapshot))
		return 0;
	if (!json_is_object(snapshot))
		return -EINVAL;
	r = json_append(&s->snapshot, snapshot);
	if (r == 0 && s->snapshot.len > AGENT_STATUS_SNAPSHOT_MAX_BYTES)
		r = -EINVAL;
	return r;
}

/* Cut off where it is too long: a sentence for people. */
static const char *text_read(const json_t *status, const char *name, char *out,
			     size_t size)
{
	const char *s = json_get_str(status, name, NULL);

	if (s)
		snprintf(out, size, "%s", s);
	return s ? out : NULL;
}

int agent_status_parse(struct agent_status *out, const json_t *status,
		       struct agent_usage **usage, int64_t now_ms, char *err,
		       size_t err_size)
{
	struct store_agent_status *stored = &out->stored;
	int r = 0;

	*out = (struct agent_status){ 0 };
	if (!status)
		return 0;
	if (!json_is_object(status))
		r = -EINVAL;
	if (r == 0)
		r = snapshot_read(out, json_object_get(status, "snapshot"));
	if (r == 0)
		r = pods_read(out, json_object_get(status, "pods"), usage,
			      now_ms);
	if (r == -EINVAL)
		snprintf(err, err_size,
			 "\"status\" must be {\"accepting\",\"code\","
			 "\"problem\",\"snapshot\",\"pods\":[{\"execution\","
			 "…}]}, at most %d pods and %d bytes of snapshot",
			 AGENT_STATUS_PODS_MAX,
			 AGENT_STATUS_SNAPSHOT_MAX_BYTES);
	if (r)
		return r;
	stored->given = true;
	stored->accepting = json_get_bool(status, "accepting", true);
	stored->code = text_read(status, "code", out->code, sizeof(out->code));
	stored->problem = text_read(status, "problem", out->problem,
				    sizeof(out->problem));
	stored->snapshot = (struct store_blob){ out->snapshot.data,
						out->snapshot.len };
	stored->pods = (struct store_blob){ out->pods.data, out->pods.len };
	return 0;
}

const char *agent_status_away(const char *code)
{
	static const char prefix[] = "away:";

	return code && !strncmp(code, prefix, strlen(prefix))
		       ? code + strlen(prefix)
		       : "";
}

void agent_status_deinit(struct agent_status *s)
{
	buf_deinit(&s->snapshot);
	buf_deinit(&s->pods);
}
