#include "orchestrator/assignment.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "common/frame.h"
#include "common/json.h"
#include "common/runtime_config.h"
#include "orchestrator/assignment_shares.h"
#include "orchestrator/egress.h"
#include "orchestrator/executor.h"
#include "orchestrator/runtime.h"

#define ASSIGNMENT_LEASE_MS 30000 /* where the backend says none */
#define ASSIGNMENT_CPUS 1.0
#define ASSIGNMENT_PIDS 256
#define ASSIGNMENT_CPUS_MAX 4096.0

/* What a sidecar keeps and lets through, where the backend says nothing. */
#define ASSIGNMENT_CACHE_TTL_MS 300000
#define ASSIGNMENT_CACHE_BYTES (4 * 1024 * 1024)
#define ASSIGNMENT_OUTPUT_BYTES (10 * 1024 * 1024)
#define ASSIGNMENT_VALUE_BYTES (1024 * 1024)

void assignment_free(struct assignment *a)
{
	if (!a)
		return;
	/* jansson has no way to overwrite: the strings are ours alone. */
	if (a->runtime_token)
		explicit_bzero((char *)(uintptr_t)a->runtime_token,
			       strlen(a->runtime_token));
	if (a->backend_token)
		explicit_bzero((char *)(uintptr_t)a->backend_token,
			       strlen(a->backend_token));
	runtime_config_free(a->config);
	json_decref(a->json);
	buf_deinit_secret(&a->script);
	buf_deinit_secret(&a->input);
	free(a);
}

/* A size in [0, FRAME_MESSAGE_MAX_BYTES], or -1. */
static int64_t assignment_get_size(const json_t *o, const char *key)
{
	int64_t n = json_get_int(o, key, 0);

	return n >= 0 && n <= FRAME_MESSAGE_MAX_BYTES ? n : -1;
}

static uint32_t assignment_get_u32(const json_t *o, const char *key,
				   uint32_t def)
{
	int64_t n = json_get_int(o, key, 0);

	return n > 0 && n <= UINT32_MAX ? (uint32_t)n : def;
}

static uint32_t assignment_get_cpus(const json_t *spec)
{
	const json_t *v = json_object_get(spec, "cpus");
	double cpus = json_is_number(v) ? json_number_value(v) : 0;

	if (!(cpus > 0))
		cpus = ASSIGNMENT_CPUS;
	return (uint32_t)(MIN(cpus, ASSIGNMENT_CPUS_MAX) * 1000 + 0.5);
}

/* The job's name is free text: what follows its last slash names the file,
 * where an earlier backend does not say it. */
static const char *assignment_script_name(const json_t *spec)
{
	const char *script = json_get_str(spec, "script_name", NULL);
	const char *name = json_get_str(spec, "name", "");
	const char *slash = strrchr(name, '/');

	if (script && runtime_entrypoint_valid(script) &&
	    (json_get_bool(spec, "payload", false) || !strchr(script, '/')))
		return script;
	if (slash)
		name = slash + 1;
	if (!*name || !strcmp(name, ".") || !strcmp(name, ".."))
		return "script";
	return name;
}

/* The block has its memory back, by which Node's options are judged. */
static int assignment_parse_runtime(struct assignment *a, const json_t *spec,
				    char *err, size_t err_size)
{
	const json_t *given = json_object_get(spec, "runtime");
	_cleanup_json_ json_t *block = json_copy((json_t *)(uintptr_t)given);
	_cleanup_(buf_deinit) struct buf why = { 0 };
	int r;

	if (!block) {
		snprintf(err, err_size, "the assignment lacks a runtime");
		return -EINVAL;
	}
	if (json_is_object(block) &&
	    json_object_set_new(block, "max_memory_mb",
				json_integer(a->memory_mb)))
		return -ENOMEM;
	r = runtime_config_from_json(&a->config, RUNTIME_KIND_JOB, block, &why);
	if (r < 0)
		return r;
	if (r)
		snprintf(err, err_size, "the assignment's runtime: %.*s",
			 (int)why.len, (char *)why.data);
	if (r)
		return -EINVAL;
	a->runtime = runtime_find(runtime_config_get(a->config)->type);
	a->retries = runtime_config_get(a->config)->retries;
	return a->runtime ? 0 : -EINVAL;
}

static int assignment_parse_host(struct assignment *a, char *err,
				 size_t err_size)
{
	const json_t *host = json_object_get(a->json, "host");

	if (json_is_object(host))
		return ssh_host_parse(&a->host, host, err, err_size);
	if (strcmp(a->executor, "ssh") != 0)
		return 0;
	snprintf(err, err_size, "the assignment names no host for ssh");
	return -EINVAL;
}

static void assignment_parse_capability(struct assignment *a,
					const json_t *spec)
{
	const char *shares = json_get_str(spec, "shares", "none");

	a->capability = json_get_str(spec, "capability", NULL);
	if (!a->capability)
		return;
	a->processes = json_get_bool(spec, "processes", false);
	if (!strcmp(shares, "listed"))
		a->shares = ASSIGNMENT_SHARES_LISTED;
	else if (!strcmp(shares, "all"))
		a->shares = ASSIGNMENT_SHARES_ALL;
}

static int assignment_parse_spec(struct assignment *a, const json_t *spec,
				 char *err, size_t err_size)
{
	int64_t timeout = json_get_int(spec, "timeout_ms", 0);
	int r;

	a->name = assignment_script_name(spec);
	a->payload = json_get_bool(spec, "payload", false);
	a->executor = json_get_str(spec, "executor", "auto");
	a->image = json_get_str(spec, "image", NULL);
	a->egress = !strcmp(json_get_str(spec, "network", "none"), "egress");
	a->timeout_ms = timeout > 0 ? (uint64_t)timeout : 0;
	a->memory_mb = assignment_get_u32(spec, "memory_mb", RUNTIME_MEMORY_MB);
	a->cpu_milli = assignment_get_cpus(spec);
	a->pids = assignment_get_u32(spec, "pids", ASSIGNMENT_PIDS);
	assignment_parse_capability(a, spec);
	r = assignment_parse_host(a, err, err_size);
	return r ? r : assignment_parse_runtime(a, spec, err, err_size);
}

/* Returns what is missing, or NULL. */
static const char *assignment_parse(struct assignment *a)
{
	const json_t *o = a->json;
	int64_t script = assignment_get_size(o, "script_bytes");
	int64_t input = assignment_get_size(o, "input_bytes");

	a->lease_ms = assignment_get_u32(o, "lease_ms", ASSIGNMENT_LEASE_MS);
	a->job = json_get_str(o, "job", NULL);
	a->trace = json_get_str(json_object_get(o, "context"), "trace_id",
				NULL);
	a->runtime_token = json_get_str(o, "runtime_token", NULL);
	a->backend_token = json_get_str(o, "backend_token", NULL);
	a->signature = json_get_str(o, "signature", "");
	a->payload_key = json_get_str(o, "payload_key", "");
	if (!a->job || !a->runtime_token || !a->backend_token)
		return "a job and both tokens";
	if (script < 0 || input < 0)
		return "script and input within the limit of a message";
	a->script_bytes = (size_t)script;
	a->input_bytes = (size_t)input;
	return NULL;
}

int assignment_new(struct assignment **out, const void *data, size_t len,
		   char *err, size_t err_size)
{
	_cleanup_(assignment_freep) struct assignment *a = NULL;
	const char *missing;
	int r = -EINVAL;

	*out = NULL;
	a = calloc(1, sizeof(*a));
	if (!a)
		return -ENOMEM;
	/* The parser's own message may quote a token: it is not passed on. */
	a->json = json_parse_object(data, len, err, err_size);
	if (!a->json) {
		snprintf(err, err_size, "the assignment is not a JSON object");
		return -EINVAL;
	}
	a->execution = json_get_str(a->json, "execution", NULL);
	a->epoch = json_get_int(a->json, "epoch", -1);
	if (!a->execution || a->epoch < 0) {
		snprintf(err, err_size,
			 "the assignment names no execution and epoch");
		return -EINVAL;
	}
	missing = assignment_parse(a);
	if (missing)
		snprintf(err, err_size, "the assignment lacks %s", missing);
	else
		r = assignment_parse_spec(a, json_object_get(a->json, "spec"),
					  err, err_size);
	if (r == -ENOMEM)
		return r;
	*out = a;
	a = NULL;
	return r;
}

const struct runtime_allow *assignment_net(const struct assignment *a)
{
	return &runtime_config_get(a->config)->permissions.net;
}

static bool assignment_unconfined(const struct assignment *a)
{
	const struct runtime_permissions *p =
		&runtime_config_get(a->config)->permissions;

	return p->net.all && p->read.all && p->write.all && p->env.all &&
	       p->run;
}

void assignment_executor_spec(const struct assignment *a, const char *pod,
			      struct executor_spec *out)
{
	*out = (struct executor_spec){
		.pod = pod,
		.execution = a->execution,
		.job = a->job,
		.runtime = a->runtime->name,
		.image = a->image,
		.payload_key = a->payload_key,
		.egress = a->egress,
		.proxy = egress_wanted(assignment_net(a)),
		.host = a->host.name ? &a->host : NULL,
		.unconfined = assignment_unconfined(a),
		.memory_bytes = (uint64_t)a->memory_mb * 1024 * 1024,
		.cpu_milli = a->cpu_milli,
		.pids = a->pids,
		.shares = a->shares != ASSIGNMENT_SHARES_NONE,
		.processes = a->processes,
	};
}

static json_t *assignment_limits(const struct assignment *a)
{
	json_t *limits = json_object_get(a->json, "limits");

	if (json_is_object(limits))
		return json_incref(limits);
	return json_pack("{s:i,s:i,s:i,s:i}", "cache_ttl_ms",
			 ASSIGNMENT_CACHE_TTL_MS, "cache_bytes",
			 ASSIGNMENT_CACHE_BYTES, "output_bytes",
			 ASSIGNMENT_OUTPUT_BYTES, "value_bytes",
			 ASSIGNMENT_VALUE_BYTES);
}

/* The context as scripts read it: only here is it known who runs them. */
static json_t *assignment_context(const struct assignment *a,
				  const char *executor)
{
	json_t *context = json_copy(json_object_get(a->json, "context"));

	if (!context)
		context = json_object();
	if (json_object_set_new(context, "executor", json_string(executor))) {
		json_decref(context);
		return NULL;
	}
	return context;
}

/* o is taken over; NULL means out of memory. */
static int assignment_append(struct buf *out, json_t *o)
{
	_cleanup_json_ json_t *owned = o;

	return owned ? json_append(out, owned) : -ENOMEM;
}

int assignment_for_sidecar(const struct assignment *a, const char *executor,
			   struct buf *out)
{
	const json_t *o = a->json;

	return assignment_append(
		out, json_pack("{s:s,s:s,s:s,s:s,s:s,s:o,s:I,s:o,s:I}",
			       "execution", a->execution, "job", a->job,
			       "backend_token", a->backend_token, "issuer",
			       json_get_str(o, "issuer", "cronium"),
			       "public_key", json_get_str(o, "public_key", ""),
			       "context", assignment_context(a, executor),
			       "input_bytes", (json_int_t)a->input.len,
			       "limits", assignment_limits(a), "keep_ms",
			       (json_int_t)a->keep_ms));
}

/* On a host the SDKs lie in a home directory, where nothing else is read. */
static int assignment_allow_sdk(json_t *permissions, const char *dir)
{
	json_t *read = json_object_get(permissions, "read");

	if (json_is_true(read))
		return 0;
	if (json_is_array(read))
		return json_array_append_new(read, json_string(dir));
	return json_object_set_new(permissions, "read", json_pack("[s]", dir));
}

/* What the runner holds the script to. */
static json_t *assignment_confinement(const struct assignment *a,
				      const struct executor_place *place)
{
	const struct runtime_config_options *o = runtime_config_get(a->config);
	_cleanup_json_ json_t *block = runtime_config_json(a->config);
	const char *sdk_dir = a->host.name ? place->sdk_dir : NULL;
	json_t *message;

	if (sdk_dir &&
	    assignment_allow_sdk(json_object_get(block, "permissions"),
				 sdk_dir) < 0)
		return NULL;
	message = json_pack("{s:s,s:O,s:I,s:I,s:b,s:s}", "runtime", o->type,
			    "permissions",
			    json_object_get(block, "permissions"),
			    "max_stderr_bytes", (json_int_t)o->max_stderr_bytes,
			    "file_mode", (json_int_t)o->worker_file_perm,
			    "payload", a->payload, "signature", a->signature);
	if (!message || !assignment_shares_add(a, message, sdk_dir))
		return message;
	json_decref(message);
	return NULL;
}

/* What the runner gives the script; a capability's program is told which
 * shares there are. */
static json_t *assignment_env(const struct assignment *a,
			      const struct executor_place *place)
{
	const struct runtime_identity who = {
		.execution = a->execution,
		.job = a->job,
		.token = a->runtime_token,
		.trace = a->trace,
	};
	json_t *env = runtime_env(
		a->runtime, runtime_config_get(a->config), place, &who,
		json_object_get(json_object_get(a->json, "spec"), "env"));
	_cleanup_(buf_deinit) struct buf paths = { 0 };

	if (!env || !a->capability)
		return env;
	if (assignment_shares_paths(a, &paths) ||
	    json_object_set_new(env, "CRONIUM_SHARES",
				json_stringn((char *)paths.data, paths.len))) {
		json_decref(env);
		return NULL;
	}
	return env;
}

static json_t *assignment_doors(const struct executor_place *place)
{
	json_t *doors = json_array();

	for (size_t i = 0; i < place->n_doors; i++)
		if (json_array_append_new(
			    doors, json_pack("{s:s,s:i,s:s}", "name",
					     place->doors[i].name, "port",
					     (int)place->doors[i].port, "to",
					     place->doors[i].to))) {
			json_decref(doors);
			return NULL;
		}
	return doors;
}

int assignment_for_runner(const struct assignment *a,
			  const struct executor_place *place, struct buf *out)
{
	const char *modules = place->modules_dir ? place->modules_dir : "";
	const json_t *spec = json_object_get(a->json, "spec");
	const struct runtime_config_options *o = runtime_config_get(a->config);
	json_t *message = assignment_confinement(a, place), *more;

	more = json_pack(
		"{s:s,s:s,s:o,s:s,s:I,s:o,s:s,s:I,s:I,s:i,s:o,s:s,s:I}",
		"execution", a->execution, "job", a->job, "argv",
		runtime_argv(a->runtime, o, a->name,
			     json_object_get(spec, "args")),
		"script_name", a->name, "script_bytes",
		(json_int_t)a->script.len, "env", assignment_env(a, place),
		"work_dir", place->work_dir, "uid", (json_int_t)place->uid,
		"gid", (json_int_t)place->gid, "grace_ms", ASSIGNMENT_GRACE_MS,
		"doors", assignment_doors(place), "modules_dir", modules,
		"keep_ms", (json_int_t)a->keep_ms);
	if (!more || json_object_update(message, more)) {
		json_decref(message);
		message = NULL;
	}
	json_decref(more);
	return assignment_append(out, message);
}
