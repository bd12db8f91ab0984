/*
 * Drives the sandbox executor without backend and core: makes COUNT pods at
 * once, runs one script in each, and prints what it says.
 *
 *   sandbox_pod --run-dir DIR --instance NAME --runner FILE --sidecar FILE
 *               SCRIPT [ARG]...
 *
 * The output of the scripts goes to stdout and stderr; for each pod a line of
 * JSON follows on descriptor 3, if it is open: its EXIT, whether the kernel
 * killed for want of memory, and milliseconds from creation to the first byte.
 */
#include <errno.h>
#include <event2/event.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "common/clock.h"
#include "common/frame_stream.h"
#include "common/json.h"
#include "common/options.h"
#include "orchestrator/executor.h"

#define REPORT_FD 3

struct driver {
	const char *run_dir, *instance, *runner, *sidecar, *sdk;
	const char *key, *signature;
	uint64_t count, memory_bytes, pids, cpu_milli, timeout_ms;
	bool egress;

	struct event_base *base;
	struct executor *executor;
	const char *script; /* path */
	char **args;
	struct buf content;
	uint64_t live, failed;
};

struct pod {
	struct driver *driver;
	struct executor_pod *pod;
	struct frame_stream *streams[2]; /* enum executor_side */
	unsigned int ready;
	struct event *timeout;
	uint64_t began_us, first_us;
	struct buf report;
};

static const struct option_spec specs[] = {
	{ "run-dir", 0, OPTION_STRING, offsetof(struct driver, run_dir), "DIR",
	  NULL, "state" },
	{ "instance", 0, OPTION_STRING, offsetof(struct driver, instance),
	  "NAME", NULL, "whose cgroups" },
	{ "runner", 0, OPTION_STRING, offsetof(struct driver, runner), "FILE",
	  NULL, "cronium-runner" },
	{ "sidecar", 0, OPTION_STRING, offsetof(struct driver, sidecar), "FILE",
	  NULL, "cronium-sidecar" },
	{ "sdk", 0, OPTION_STRING, offsetof(struct driver, sdk), "DIR", NULL,
	  "SDKs" },
	{ "key", 0, OPTION_STRING, offsetof(struct driver, key), "KEY", "",
	  "the runner's --key" },
	{ "signature", 0, OPTION_STRING, offsetof(struct driver, signature),
	  "TEXT", "", "of the script" },
	{ "count", 0, OPTION_UINT, offsetof(struct driver, count), "N", "1",
	  "pods at once" },
	{ "memory", 0, OPTION_BYTES, offsetof(struct driver, memory_bytes),
	  "BYTES", "512m", "of each pod" },
	{ "pids", 0, OPTION_UINT, offsetof(struct driver, pids), "N", "256",
	  "of each pod" },
	{ "cpu-milli", 0, OPTION_UINT, offsetof(struct driver, cpu_milli), "N",
	  "2000", "of each pod" },
	{ "timeout", 0, OPTION_DURATION, offsetof(struct driver, timeout_ms),
	  "D", "30s", "then the pod is killed" },
	{ "egress", 0, OPTION_FLAG, offsetof(struct driver, egress), NULL, NULL,
	  "ask for the network" },
};

static void on_destroyed(void *ctx)
{
	struct driver *d = ctx;

	if (--d->live == 0)
		event_base_loopbreak(d->base);
}

static void pod_finish(struct pod *p)
{
	struct driver *d = p->driver;
	uint64_t first = p->first_us ? p->first_us - p->began_us : 0;

	dprintf(REPORT_FD,
		"{\"exit\":%s,\"oom_killed\":%s,\"first_us\":%llu}\n",
		p->report.len ? buf_cstr(&p->report) : "null",
		d->executor && executor_sandbox.oom_killed(p->pod) ? "true"
								   : "false",
		(unsigned long long)first);
	frame_stream_close(p->streams[0]);
	frame_stream_close(p->streams[1]);
	event_free(p->timeout);
	buf_deinit(&p->report);
	executor_sandbox.destroy(p->pod, on_destroyed, d);
	free(p);
}

static json_t *pod_argv(const struct driver *d)
{
	const char *dot = strrchr(d->script, '.');
	json_t *argv = json_array();

	json_array_append_new(
		argv, json_string(dot && !strcmp(dot, ".py")    ? "python3"
				  : dot && !strcmp(dot, ".mjs") ? "node"
								: "bash"));
	json_array_append_new(argv, json_string("script"));
	for (char **arg = d->args; *arg; arg++)
		json_array_append_new(argv, json_string(*arg));
	return argv;
}

static void pod_assign(struct pod *p)
{
	struct driver *d = p->driver;
	struct frame_stream *s = p->streams[EXECUTOR_RUNNER];
	_cleanup_json_ json_t *o = NULL;
	struct executor_place place;
	struct buf b = { 0 };

	executor_sandbox.place(p->pod, &place);
	o = json_pack("{s:o, s:s, s:I, s:s, s:{s:b, s:b, s:b, s:b, s:b}, "
		      "s:{s:s, s:s}, s:s, s:I, s:I}",
		      "argv", pod_argv(d), "script_name", "script",
		      "script_bytes", (json_int_t)d->content.len, "signature",
		      d->signature, "permissions", "net", 1, "read", 1, "write",
		      1, "env", 1, "run", 1, "env", "CRONIUM_RUNTIME_API",
		      place.runtime_api, "CRONIUM_EXECUTION_MODE", place.mode,
		      "work_dir", place.work_dir, "uid", (json_int_t)place.uid,
		      "gid", (json_int_t)place.gid);
	if (json_append(&b, o) < 0 ||
	    frame_stream_send(s, FRAME_ASSIGN, b.data, b.len) < 0 ||
	    frame_stream_send(s, FRAME_SCRIPT, d->content.data,
			      d->content.len) < 0)
		fprintf(stderr, "cannot assign\n");
	buf_deinit(&b);
}

static void pod_print(struct pod *p, FILE *to, const struct frame *f)
{
	if (!p->first_us)
		p->first_us = clock_mono_us();
	fwrite(f->payload, 1, f->len, to);
}

static void on_frame(struct frame_stream *s, const struct frame *f, void *ctx)
{
	struct pod *p = ctx;

	if (f->type == FRAME_READY && ++p->ready == 2)
		pod_assign(p);
	else if (f->type == FRAME_STDOUT)
		pod_print(p, stdout, f);
	else if (f->type == FRAME_STDERR)
		pod_print(p, stderr, f);
	else if (f->type == FRAME_EXIT) {
		if (buf_append(&p->report, f->payload, f->len) < 0)
			abort();
		pod_finish(p);
	}
}

static void on_close(struct frame_stream *s, const char *reason, void *ctx)
{
	struct pod *p = ctx;

	fprintf(stderr, "lost %s: %s\n",
		s == p->streams[EXECUTOR_RUNNER] ? "runner" : "sidecar",
		reason);
	p->driver->failed++;
	pod_finish(p);
}

static const struct frame_stream_ops stream_ops = {
	.on_frame = on_frame,
	.on_close = on_close,
};

static void on_stream(void *ctx, enum executor_side side, int fd)
{
	struct pod *p = ctx;

	if (frame_stream_new(&p->streams[side], p->driver->base, fd,
			     &stream_ops, p) < 0)
		abort();
}

static void on_failed(void *ctx, const char *reason)
{
	struct pod *p = ctx;

	fprintf(stderr, "failed: %s\n", reason);
	p->driver->failed++;
	pod_finish(p);
}

static const struct executor_events events = {
	.on_stream = on_stream,
	.on_failed = on_failed,
};

static void on_timeout(int fd, short what, void *ctx)
{
	struct pod *p = ctx;

	fprintf(stderr, "timeout\n");
	executor_sandbox.kill(p->pod);
}

static void pod_start(struct driver *d, uint64_t i)
{
	struct pod *p = calloc(1, sizeof(*p));
	const struct timeval tv = { (time_t)(d->timeout_ms / 1000),
				    (suseconds_t)(d->timeout_ms % 1000 *
						  1000) };
	struct executor_spec spec = {
		.execution = "ex_1",
		.job = "job_1",
		.runtime = "bash",
		.payload_key = d->key,
		.egress = d->egress,
		.memory_bytes = d->memory_bytes,
		.cpu_milli = (uint32_t)d->cpu_milli,
		.pids = (uint32_t)d->pids,
	};
	char name[32];

	snprintf(name, sizeof(name), "pod_%llu", (unsigned long long)i);
	spec.pod = name;
	p->driver = d;
	p->began_us = clock_mono_us();
	p->timeout = evtimer_new(d->base, on_timeout, p);
	event_add(p->timeout, &tv);
	d->live++;
	if (executor_sandbox.create(d->executor, &spec, &events, p, &p->pod))
		abort();
}

static void on_reaped(void *ctx)
{
	struct driver *d = ctx;

	for (uint64_t i = 0; i < d->count; i++)
		pod_start(d, i);
}

static int read_script(struct driver *d)
{
	FILE *f = fopen(d->script, "re");
	char chunk[4096];
	size_t n;

	if (!f)
		return -errno;
	while ((n = fread(chunk, 1, sizeof(chunk), f)) > 0)
		if (buf_append(&d->content, chunk, n) < 0)
			return -ENOMEM;
	fclose(f);
	return 0;
}

static int run(struct driver *d)
{
	_cleanup_free_ char *backend_dir = NULL;
	char err[512];
	struct executor_config config;

	if (asprintf(&backend_dir, "%s/runtime", d->run_dir) < 0)
		return 2;
	mkdir(backend_dir, 0755);
	config = (struct executor_config){
		.base = d->base,
		.run_dir = d->run_dir,
		.backend_dir = backend_dir,
		.runner_path = d->runner,
		.sidecar_path = d->sidecar,
		.sdk_dir = d->sdk,
		.log_level = "info",
		.log_format = "logfmt",
		.instance = d->instance,
	};
	if (executor_sandbox.new(&d->executor, &config, err, sizeof(err)) < 0) {
		fprintf(stderr, "%s\n", err);
		return 2;
	}
	executor_sandbox.reap(d->executor, NULL, on_reaped, d);
	event_base_dispatch(d->base);
	executor_sandbox.free(d->executor);
	return d->failed ? 1 : 0;
}

int main(int argc, char **argv)
{
	struct driver d = { 0 };
	char err[256];
	int first, r;

	signal(SIGPIPE, SIG_IGN);
	if (options_parse(specs, ARRAY_SIZE(specs), argc, argv, true, &d,
			  &first, err, sizeof(err)) < 0 ||
	    first >= argc) {
		fprintf(stderr, "sandbox_pod: %s\n",
			first >= argc ? "which script?" : err);
		return 2;
	}
	d.script = argv[first];
	d.args = argv + first + 1;
	if (read_script(&d) < 0) {
		perror(d.script);
		return 2;
	}
	d.base = event_base_new();
	r = run(&d);
	event_base_free(d.base);
	buf_deinit(&d.content);
	return r;
}
