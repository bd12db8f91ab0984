#include "runner/run.h"

#include <assert.h>
#include <errno.h>
#include <event2/event.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "common/clock.h"
#include "common/log.h"
#include "common/options.h"
#include "runner/keeper.h"
#include "runner/parent.h"
#include "runner/pass.h"
#include "runner/run_program.h"
#include "runner/runner.h"
#include "runner/told.h"

#define RUN_GIVE_UP_MS (RUN_GRACE_MS + 1000) /* with who reads our output */

enum run_state { RUN_RUNNING, RUN_STOPPING, RUN_EXITED };

struct run_options {
	const char *key, *signature;
	uint64_t processes;
	bool help;
};

struct run {
	enum run_state state;
	struct event_base *base;
	struct run_program program;
	struct keeper *keeper;
	struct frame_stream *stream; /* the keeper's */
	struct told told;
	struct parent parent;
	struct event *timeout, *give_up;
	struct pass out, err;
	bool timed_out;
	int exit_code;
};

static const struct option_spec run_specs[] = {
	{ "key", 0, OPTION_STRING, offsetof(struct run_options, key),
	  "FILE|base64:DER", NULL,
	  "public key that the payload must be signed with" },
	{ "signature", 0, OPTION_STRING,
	  offsetof(struct run_options, signature), "FILE", NULL,
	  "the signature; default: PAYLOAD.sig" },
	{ "limit-processes", 0, OPTION_UINT,
	  offsetof(struct run_options, processes), "N", NULL,
	  "how many processes its user may have" },
	{ "help", 'h', OPTION_FLAG, offsetof(struct run_options, help), NULL,
	  NULL, "print this and exit" },
};

static void run_set_timer(struct event *timer, uint64_t ms)
{
	const struct timeval tv = clock_timeval(ms);

	event_add(timer, &tv);
}

static void run_end(struct run *r, int exit_code)
{
	r->exit_code = r->timed_out ? RUN_EXIT_TIMEOUT : exit_code;
	event_base_loopbreak(r->base);
}

static bool run_waits(const struct run *r)
{
	return pass_waits(&r->out) || pass_waits(&r->err);
}

/* A signal to the script's processes; after the grace, or when it comes a
 * second time, they are killed. */
static void run_stop(struct run *r, int sig)
{
	bool again = r->state == RUN_STOPPING;
	char json[64];
	int n;

	if (r->state == RUN_EXITED) {
		run_end(r, r->exit_code);
		return;
	}
	n = snprintf(json, sizeof(json), "{\"signal\":%d,\"grace_ms\":%d}", sig,
		     again ? 0 : RUN_GRACE_MS);
	r->state = RUN_STOPPING;
	r->exit_code = 128 + sig;
	if (!again)
		run_set_timer(r->give_up, RUN_GIVE_UP_MS);
	if (frame_stream_send(r->stream, FRAME_SIGNAL, json, (size_t)n) < 0)
		run_end(r, 128 + sig);
}

static void run_on_told(int sig, pid_t sender, void *ctx)
{
	log_info("-", "told to stop: %s", strsignal(sig));
	run_stop(ctx, sig);
}

static void run_on_orphaned(void *ctx)
{
	log_warn("-", "the process that started this one has ended: stopping");
	run_stop(ctx, SIGTERM);
}

static void run_on_timeout(int fd, short what, void *ctx)
{
	struct run *r = ctx;

	log_warn("-", "it took longer than %llu ms: stopping",
		 (unsigned long long)r->program.timeout_ms);
	r->timed_out = true;
	run_stop(r, SIGTERM);
}

static void run_on_give_up(int fd, short what, void *ctx)
{
	struct run *r = ctx;

	run_end(r, r->exit_code);
}

static void run_on_drain(void *ctx)
{
	struct run *r = ctx;

	if (r->out.error || r->err.error)
		run_end(r, 128 + SIGPIPE);
	else if (run_waits(r))
		return;
	else if (r->state == RUN_EXITED)
		run_end(r, r->exit_code);
	else
		frame_stream_resume(r->stream);
}

static void run_pass(struct run *r, struct pass *to, const struct frame *f)
{
	if (pass_write(to, f->payload, f->len) < 0)
		run_end(r, 128 + SIGPIPE);
	else if (pass_waits(to))
		frame_stream_pause(r->stream);
}

static void run_accept_exit(struct run *r, const struct frame *f)
{
	_cleanup_json_ json_t *o = json_parse_object(f->payload, f->len, NULL,
						     0);
	const char *error = json_get_str(o, "error", NULL);
	int code = (int)json_get_int(o, "exit_code", RUN_EXIT_NOT_RUN);

	event_del(r->timeout);
	if (error) {
		log_error("-", "%s", error);
		code = RUN_EXIT_NOT_RUN;
	} else {
		log_info("-", "ended with %d", code);
	}
	r->state = RUN_EXITED;
	r->exit_code = code;
	if (!run_waits(r))
		run_end(r, code);
}

static void run_on_frame(struct frame_stream *s, const struct frame *f,
			 void *ctx)
{
	struct run *r = ctx;

	if (f->type == FRAME_STDOUT)
		run_pass(r, &r->out, f);
	else if (f->type == FRAME_STDERR)
		run_pass(r, &r->err, f);
	else if (f->type == FRAME_NOTICE)
		log_warn("-", "%.*s", (int)strcspn((char *)f->payload, "\n"),
			 (const char *)f->payload);
	else if (f->type == FRAME_STARTED && r->program.timeout_ms)
		run_set_timer(r->timeout, r->program.timeout_ms);
	else if (f->type == FRAME_EXIT)
		run_accept_exit(r, f);
}

static void run_on_close(struct frame_stream *s, const char *reason, void *ctx)
{
	struct run *r = ctx;

	if (r->state == RUN_EXITED)
		return;
	log_error("-", "the runner's other half died: everything is killed");
	run_end(r, RUN_EXIT_NOT_RUN);
}

static const struct frame_stream_ops run_stream_ops = {
	.on_frame = run_on_frame,
	.on_close = run_on_close,
};

static int run_send_program(struct run *r)
{
	struct run_program *p = &r->program;
	struct buf b = { 0 };
	int e = 0;

	if (json_object_set_new(p->assign, "work_dir",
				json_string(keeper_work_dir(r->keeper))))
		e = -ENOMEM;
	if (!e)
		e = json_append(&b, p->assign);
	if (!e)
		e = frame_stream_send(r->stream, FRAME_ASSIGN, b.data, b.len);
	if (!e)
		e = frame_stream_send(r->stream, FRAME_SCRIPT, p->payload.data,
				      p->payload.len);
	buf_deinit(&b);
	return e;
}

static int run_start(struct run *r, const struct run_options *o, char *err,
		     size_t err_size)
{
	const struct runner_config config = {
		.limits = { .memory_bytes = r->program.memory_bytes,
			    .processes = o->processes },
		.key = &r->program.key,
		.in_pod = true,
	};
	int e = keeper_new(&r->keeper, r->base, &config, err, err_size);

	if (!e)
		e = keeper_start(r->keeper, r->program.assign,
				 r->program.keep_net, &run_stream_ops, r,
				 &r->stream, err, err_size);
	if (e < 0)
		return e;
	e = run_send_program(r);
	if (e < 0)
		snprintf(err, err_size, "cannot start the runner: %s",
			 strerror(-e));
	return e;
}

static int run_init(struct run *r)
{
	int e;

	signal(SIGPIPE, SIG_IGN);
	r->base = event_base_new();
	if (!r->base)
		return -ENOMEM;
	r->timeout = evtimer_new(r->base, run_on_timeout, r);
	r->give_up = evtimer_new(r->base, run_on_give_up, r);
	if (!r->timeout || !r->give_up)
		return -ENOMEM;
	e = parent_init(&r->parent, r->base, run_on_orphaned, r);
	if (!e)
		e = told_init(&r->told, r->base, run_on_told, r);
	if (!e)
		e = pass_init(&r->out, r->base, STDOUT_FILENO, run_on_drain, r);
	if (!e)
		e = pass_init(&r->err, r->base, STDERR_FILENO, run_on_drain, r);
	return e;
}

static void run_deinit(struct run *r)
{
	keeper_free(r->keeper);
	told_deinit(&r->told);
	parent_deinit(&r->parent);
	pass_deinit(&r->out);
	pass_deinit(&r->err);
	if (r->timeout)
		event_free(r->timeout);
	if (r->give_up)
		event_free(r->give_up);
	if (r->base)
		event_base_free(r->base);
	run_program_deinit(&r->program);
}

static int run(const struct run_options *o, const struct run_program_spec *spec)
{
	struct run r = { .told = TOLD_NONE,
			 .parent = PARENT_NONE,
			 .exit_code = RUN_EXIT_NOT_RUN };
	char err[KEEPER_WHY_BYTES];
	int e = run_program_load(&r.program, spec, err, sizeof(err));

	if (!e) {
		e = run_init(&r);
		if (e < 0)
			snprintf(err, sizeof(err), "cannot start: %s",
				 strerror(-e));
	}
	if (!e)
		e = run_start(&r, o, err, sizeof(err));
	if (e < 0)
		log_error("-", "%s", err);
	else
		event_base_dispatch(r.base);
	run_deinit(&r);
	return r.exit_code;
}

static void run_help(void)
{
	puts("Usage: cronium-runner run PAYLOAD --key FILE [OPTION]... "
	     "[-- ARG...]\n"
	     "Runs a signed payload here, without an orchestrator.\n");
	options_help(run_specs, ARRAY_SIZE(run_specs));
}

int run_main(int argc, char **argv)
{
	struct run_options o = { 0 };
	struct run_program_spec spec;
	char err[256];
	int first;

	if (options_parse(run_specs, ARRAY_SIZE(run_specs), argc, argv, false,
			  &o, &first, err, sizeof(err)) < 0) {
		fprintf(stderr, "cronium-runner run: %s\n", err);
		return RUN_EXIT_NOT_RUN;
	}
	if (o.help) {
		run_help();
		return EXIT_SUCCESS;
	}
	if (first == argc) {
		fputs("cronium-runner run: which payload? give its path, as in "
		      "run payload.tar.gz --key payload.pub\n",
		      stderr);
		return RUN_EXIT_NOT_RUN;
	}
	spec = (struct run_program_spec){ .payload = argv[first],
					  .key = o.key,
					  .signature = o.signature,
					  .args = argv + first + 1 };
	return run(&o, &spec);
}
