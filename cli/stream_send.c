#include "cli/stream_send.h"

#include <assert.h>
#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "cli/api.h"
#include "cli/command.h"
#include "cli/output.h"
#include "cli/patience.h"
#include "common/buf.h"
#include "common/clock.h"
#include "common/id.h"
#include "common/json.h"
#include "common/macro.h"

#define SEND_READ_BYTES (64 * 1024)
#define SEND_ATTEMPT_MS 30000 /* the server holds an append for 10 s at most */

enum stream_send_state { SEND_ASKING, SEND_READING, SEND_SENDING, SEND_OVER };

struct stream_send {
	struct api *api;
	struct stream_send_options options;
	char id[ID_MAX_BYTES];
	enum stream_send_state state;
	enum stream_send_end end;
	struct backend_call *call;
	struct event *readable; /* NULL: a file, which is always readable */
	struct event *again;    /* one more step, from the loop */
	struct buf data;        /* read and not acknowledged */
	size_t sending;         /* bytes of data in the append under way */
	char key[ID_MAX_BYTES]; /* of the append under way, however repeated */
	uint64_t acknowledged;  /* records of ours */
	struct patience patience;
	bool eof, ending; /* ending: the append under way is the last */
};

static void send_step(struct stream_send *s);
static void send_call(struct stream_send *s);

#define SEND_MAY(state) (1U << (state))

/* Which states may follow one. */
static UNUSED const unsigned int send_moves[] = {
	[SEND_ASKING] = SEND_MAY(SEND_READING) | SEND_MAY(SEND_OVER),
	[SEND_READING] = SEND_MAY(SEND_SENDING) | SEND_MAY(SEND_OVER),
	[SEND_SENDING] = SEND_MAY(SEND_READING) | SEND_MAY(SEND_OVER),
	[SEND_OVER] = 0,
};

static void send_set_state(struct stream_send *s, enum stream_send_state state)
{
	assert(send_moves[s->state] & SEND_MAY(state));
	s->state = state;
}

/* The end is told from the loop, when nothing of ours is on the stack. */
static void send_finish(struct stream_send *s, enum stream_send_end end)
{
	const struct timeval now = { 0 };

	if (s->state == SEND_OVER)
		return;
	send_set_state(s, SEND_OVER);
	s->end = end;
	if (s->readable)
		event_del(s->readable);
	event_add(s->again, &now);
}

static void send_again(struct stream_send *s, unsigned int ms)
{
	const struct timeval tv = clock_timeval(ms);

	event_add(s->again, &tv);
}

/* --- what the server answers --------------------------------------------- */

static void send_refused(struct stream_send *s, int status, const json_t *o)
{
	const char *code = json_get_str(o, "code", "");
	struct api_reply reply = { .status = status };
	char doing[96];

	if (!strcmp(code, "job_ended") || !strcmp(code, "execution_ended")) {
		send_finish(s, STREAM_SEND_LEFT);
		return;
	}
	snprintf(reply.detail, sizeof(reply.detail), "%s",
		 json_get_str(o, "detail", "the server refuses it"));
	snprintf(doing, sizeof(doing), "send to %s", s->id);
	api_explain(s->api, &reply, doing);
	send_finish(s, STREAM_SEND_FAILED);
}

static size_t send_count_lines(const uint8_t *data, size_t len)
{
	size_t n = 0;

	for (const uint8_t *end = data + len; data < end; n++) {
		const uint8_t *line = data;

		data = memchr(line, '\n', (size_t)(end - line));
		data = data ? data + 1 : end;
		/* An empty line is no record. */
		for (; line < data && strchr(" \t\r\n", *line); line++)
			;
		if (line == data)
			n--;
	}
	return n;
}

static void send_acknowledged(struct stream_send *s)
{
	patience_heard(&s->patience);
	s->acknowledged += send_count_lines(s->data.data, s->sending);
	buf_consume(&s->data, s->sending);
	s->sending = 0;
	if (s->ending) {
		send_finish(s, STREAM_SEND_DONE);
		return;
	}
	send_set_state(s, SEND_READING);
	send_step(s);
}

/* No answer: the same append again, until patience ends. */
static void send_unanswered(struct stream_send *s, const char *why)
{
	if (patience_lasts(&s->patience, why)) {
		send_again(s, PATIENCE_AGAIN_MS);
		return;
	}
	output_error("lost the server while sending to %s: %s; it has "
		     "acknowledged %" PRIu64 " records",
		     s->id, why, stream_send_acknowledged(s));
	send_finish(s, STREAM_SEND_FAILED);
}

static void send_on_done(struct backend_call *call,
			 const struct backend_response *r, void *ctx)
{
	struct stream_send *s = ctx;
	_cleanup_json_ json_t *o = NULL;

	s->call = NULL;
	if (r->error) {
		send_unanswered(s, r->detail);
		return;
	}
	o = json_parse_object(r->body, r->body_len, NULL, 0);
	if (r->status == 200)
		send_acknowledged(s);
	else if (r->status != 503)
		send_refused(s, r->status, o);
	else if (strcmp(json_get_str(o, "code", ""), "stream_full") != 0)
		send_unanswered(s, json_get_str(o, "detail", "it is busy"));
	else { /* the reader is slow, which is fine */
		patience_heard(&s->patience);
		send_again(s, PATIENCE_AGAIN_MS);
	}
}

/* --- asking and appending ------------------------------------------------ */

/* Without numbers: whoever else sends, what he sends stays beside ours, also
 * where it is the same. */
static void send_call(struct stream_send *s)
{
	static const struct backend_call_ops ops = { .on_done = send_on_done };
	const struct backend_header headers[] = {
		{ "content-type", "application/x-ndjson" },
		{ "idempotency-key", s->key },
	};
	char path[192];
	const struct backend_request req = {
		.method = "POST",
		.path = path,
		.headers = headers,
		.n_headers = ARRAY_SIZE(headers),
		.body = s->data.data,
		.body_len = s->sending,
		.deadline_ms = SEND_ATTEMPT_MS,
		.attempt_timeout_ms = SEND_ATTEMPT_MS,
		.retry = BACKEND_RETRY_UNSENT, /* we come again ourselves */
	};

	snprintf(path, sizeof(path), "/v1/jobs/%s/input/stream%s", s->id,
		 s->ending && !s->options.keep_open ? "?end=1" : "");
	if (backend_client_call(s->api->client, &req, &ops, s, &s->call) < 0) {
		output_error("out of memory");
		send_finish(s, STREAM_SEND_FAILED);
	}
}

/* --- reading ------------------------------------------------------------- */

/* The length of what can be appended now: whole lines, and at the end of the
 * input whatever there is. */
static size_t send_ready(const struct stream_send *s)
{
	size_t n = MIN(s->data.len, STREAM_SEND_MAX_BYTES);
	const uint8_t *last;

	if (s->eof && n == s->data.len)
		return n;
	last = n ? memrchr(s->data.data, '\n', n) : NULL;
	return last ? (size_t)(last - s->data.data) + 1 : 0;
}

/* 0; 1 when there is nothing to read now; or negative errno. */
static int send_read(struct stream_send *s)
{
	uint8_t piece[SEND_READ_BYTES];
	ssize_t n = read(s->options.fd, piece, sizeof(piece));

	if (n < 0)
		return errno == EAGAIN || errno == EINTR ? 1 : -errno;
	if (n == 0)
		s->eof = true;
	return buf_append(&s->data, piece, (size_t)n);
}

/* Only what poll() says is there: stdin may be shared, so that it must not be
 * made non-blocking. */
static void send_fill(struct stream_send *s)
{
	int r = 0;

	if (s->readable) {
		r = send_read(s);
	} else {
		while (!r && !s->eof && s->data.len < STREAM_SEND_MAX_BYTES)
			r = send_read(s);
	}
	if (r < 0) {
		output_error("cannot read the records to send: %s",
			     strerror(-r));
		send_finish(s, STREAM_SEND_FAILED);
	}
}

static void send_want_input(struct stream_send *s)
{
	bool room = s->data.len < 2 * STREAM_SEND_MAX_BYTES && !s->eof;

	if (!s->readable)
		return;
	if (room && s->state != SEND_OVER)
		event_add(s->readable, NULL);
	else
		event_del(s->readable);
}

static void send_step(struct stream_send *s)
{
	if (s->state != SEND_READING)
		return;
	if (!s->readable && !s->eof)
		send_fill(s);
	if (s->state != SEND_READING)
		return;
	s->sending = send_ready(s);
	s->ending = s->eof && s->sending == s->data.len;
	send_want_input(s);
	if (!s->sending && !s->ending) {
		if (s->data.len < STREAM_SEND_MAX_BYTES)
			return;
		output_error("record %" PRIu64
			     " is larger than the %d MiB that "
			     "are accepted: one JSON value a line is expected",
			     s->acknowledged, STREAM_SEND_MAX_BYTES >> 20);
		send_finish(s, STREAM_SEND_FAILED);
	} else if (!s->sending && s->options.keep_open) {
		send_finish(s, STREAM_SEND_DONE);
	} else {
		send_set_state(s, SEND_SENDING);
		id_new("send", s->key);
		patience_heard(&s->patience);
		send_call(s);
	}
}

static void send_on_readable(evutil_socket_t fd, short what, void *arg)
{
	struct stream_send *s = arg;

	send_fill(s);
	send_want_input(s);
	send_step(s);
}

static void send_on_again(evutil_socket_t fd, short what, void *arg)
{
	struct stream_send *s = arg;

	if (s->state == SEND_OVER)
		s->options.on_end(s->end, s->options.ctx);
	else
		send_call(s);
}

/* --- life ---------------------------------------------------------------- */

/* epoll knows nothing of files: they are read when there is room. */
static int send_watch(struct stream_send *s)
{
	struct stat st;

	if (fstat(s->options.fd, &st) < 0)
		return -errno;
	if (S_ISDIR(st.st_mode))
		return -EISDIR;
	if (S_ISREG(st.st_mode) ||
	    (S_ISCHR(st.st_mode) && !isatty(s->options.fd)))
		return 0;
	s->readable = event_new(s->api->base, s->options.fd,
				EV_READ | EV_PERSIST, send_on_readable, s);
	return s->readable ? 0 : -ENOMEM;
}

int stream_send_new(struct stream_send **out, struct api *api,
		    const struct stream_send_options *options)
{
	_cleanup_(stream_send_freep) struct stream_send *s = calloc(1,
								    sizeof(*s));
	int r;

	if (!s)
		return -ENOMEM;
	s->api = api;
	s->options = *options;
	snprintf(s->id, sizeof(s->id), "%s", options->id);
	s->options.id = s->id;
	patience_heard(&s->patience);
	id_new("send", s->key);
	s->again = event_new(api->base, -1, 0, send_on_again, s);
	if (!s->again)
		return -ENOMEM;
	r = send_watch(s);
	if (r < 0)
		return r;
	send_again(s, 0);
	*out = s;
	s = NULL;
	return 0;
}

void stream_send_free(struct stream_send *s)
{
	if (!s)
		return;
	if (s->call)
		backend_call_cancel(s->call);
	if (s->readable)
		event_free(s->readable);
	if (s->again)
		event_free(s->again);
	buf_deinit_secret(&s->data);
	free(s);
}

uint64_t stream_send_acknowledged(const struct stream_send *s)
{
	return s->acknowledged;
}

/* --- for a command that does nothing else -------------------------------- */

struct send_run {
	struct api *api;
	enum stream_send_end end;
	bool over, interrupted;
};

static void run_on_end(enum stream_send_end end, void *ctx)
{
	struct send_run *run = ctx;

	run->end = end;
	run->over = true;
	event_base_loopbreak(run->api->base);
}

static void run_on_interrupt(evutil_socket_t fd, short what, void *arg)
{
	struct send_run *run = arg;

	run->interrupted = true;
	run_on_end(STREAM_SEND_LEFT, run);
}

static int run_tell(const struct send_run *run,
		    const struct stream_send_job *job, uint64_t records)
{
	if (run->interrupted) {
		output_warn("%" PRIu64 " records are stored; the stream stays "
			    "open",
			    records);
		return CLI_CANCELLED;
	}
	if (run->end == STREAM_SEND_LEFT)
		output_error("%s has ended; %" PRIu64 " records were stored "
			     "before",
			     job->id, records);
	else if (run->end == STREAM_SEND_DONE)
		output_note("%" PRIu64 " records are stored%s", records,
			    job->keep_open ? "; the stream stays open" : "");
	return run->end == STREAM_SEND_DONE ? CLI_OK : CLI_FAILED;
}

int stream_send_job(struct api *api, const struct stream_send_job *job,
		    uint64_t *records)
{
	struct send_run run = { .api = api, .end = STREAM_SEND_FAILED };
	const struct stream_send_options options = {
		.fd = job->fd,
		.id = job->id,
		.keep_open = job->keep_open,
		.on_end = run_on_end,
		.ctx = &run,
	};
	struct stream_send *s = NULL;
	struct event *interrupt = evsignal_new(api->base, SIGINT,
					       run_on_interrupt, &run);
	int r = interrupt ? stream_send_new(&s, api, &options) : -ENOMEM;

	*records = 0;
	if (r < 0) {
		output_error("cannot read the records to send: %s",
			     strerror(-r));
	} else {
		event_add(interrupt, NULL);
		while (!run.over && event_base_dispatch(api->base) == 0)
			;
		*records = stream_send_acknowledged(s);
	}
	stream_send_free(s);
	if (interrupt)
		event_free(interrupt);
	return r < 0 ? CLI_FAILED : run_tell(&run, job, *records);
}

int stream_send_open(const char *option, const char *path)
{
	int fd = strcmp(path, "-") ? open(path, O_RDONLY | O_CLOEXEC)
				   : STDIN_FILENO;

	if (fd < 0)
		output_error("--%s %s: cannot open it: %s", option, path,
			     strerror(errno));
	return fd;
}

void stream_send_closep(const int *fd)
{
	if (*fd > STDIN_FILENO)
		close(*fd);
}
