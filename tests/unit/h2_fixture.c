#include "h2_fixture.h"

#include <errno.h>
#include <event2/event.h>
#include <nghttp2/nghttp2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "common/buf.h"
#include "common/macro.h"

/* Unlike assert() also where NDEBUG is set. */
#define MUST(condition)           \
	do {                      \
		if (!(condition)) \
			abort();  \
	} while (0)

struct fx_stream {
	LIST_ENTRY(fx_stream) link;
	int32_t id;
	char path[64];
	char auth[128];
	struct buf body; /* of the request, then of the reply */
	size_t left;     /* of the reply */
};

struct fx_conn {
	LIST_ENTRY(fx_conn) link;
	struct h2_fixture *fx;
	int fd;
	struct event *readable, *writable;
	nghttp2_session *session;
	struct buf out;
	LIST_HEAD(, fx_stream) streams;
	bool close; /* after what is queued */
	bool die;   /* at once */
};

struct h2_fixture {
	struct event_base *base;
	char dir[32], path[64], endpoint[80];
	int fd;
	struct event *acceptable;
	uint32_t max_streams;
	const char *garbage;
	bool mute;
	LIST_HEAD(, fx_conn) conns;
	struct h2_fixture_stats stats;
	int (*answer)(void *ctx, const char *path, struct buf *body);
	void *answer_ctx;
	unsigned int flaky, refused;
};

static void fx_stream_free(struct fx_conn *c, struct fx_stream *s)
{
	c->fx->stats.streams_open--;
	LIST_REMOVE(s, link);
	buf_deinit(&s->body);
	free(s);
}

static void fx_conn_free(struct fx_conn *c)
{
	while (!LIST_EMPTY(&c->streams))
		fx_stream_free(c, LIST_FIRST(&c->streams));
	LIST_REMOVE(c, link);
	nghttp2_session_del(c->session);
	event_free(c->readable);
	event_free(c->writable);
	buf_deinit(&c->out);
	close(c->fd);
	free(c);
}

static void fx_conn_write(struct fx_conn *c)
{
	for (;;) {
		const uint8_t *data;
		ssize_t n = c->session && !c->die
				    ? nghttp2_session_mem_send(c->session,
							       &data)
				    : 0;

		MUST(n >= 0);
		if (n)
			MUST(!buf_append(&c->out, data, (size_t)n));
		if (!c->out.len)
			break;
		n = send(c->fd, c->out.data, c->out.len, MSG_NOSIGNAL);
		if (n < 0 && errno == EAGAIN) {
			event_add(c->writable, NULL);
			return;
		}
		if (n < 0) {
			c->die = true;
			break;
		}
		buf_consume(&c->out, (size_t)n);
	}
	if (c->die || c->close)
		fx_conn_free(c);
}

/* --- replies ------------------------------------------------------------- */

static ssize_t fx_read_reply(nghttp2_session *session, int32_t id,
			     uint8_t *data, size_t n, uint32_t *flags,
			     nghttp2_data_source *source, void *arg)
{
	struct fx_stream *s = source->ptr;

	n = MIN(n, s->left);
	if (s->body.len) {
		memcpy(data, s->body.data, n);
		buf_consume(&s->body, n);
	} else {
		memset(data, 'x', n);
	}
	s->left -= n;
	if (!s->left)
		*flags |= NGHTTP2_DATA_FLAG_EOF;
	return (ssize_t)n;
}

static ssize_t fx_read_never(nghttp2_session *session, int32_t id,
			     uint8_t *data, size_t n, uint32_t *flags,
			     nghttp2_data_source *source, void *arg)
{
	return NGHTTP2_ERR_DEFERRED;
}

static void fx_reply(struct fx_conn *c, struct fx_stream *s, int status,
		     size_t len, bool forever)
{
	char text[8];
	nghttp2_nv nva[] = {
		{ (uint8_t *)":status", (uint8_t *)text, 7, 3, 0 },
		{ (uint8_t *)"x-fixture", (uint8_t *)"yes", 9, 3, 0 },
	};
	nghttp2_data_provider body = {
		.source.ptr = s,
		.read_callback = forever ? fx_read_never : fx_read_reply,
	};

	snprintf(text, sizeof(text), "%03d", status % 1000);
	s->left = len;
	MUST(!nghttp2_submit_response(c->session, s->id, nva, 2,
				      len || forever ? &body : NULL));
}

static bool fx_path(const struct fx_stream *s, const char *name,
		    unsigned int *n)
{
	size_t len = strlen(name);

	if (strncmp(s->path, name, len))
		return false;
	*n = (unsigned int)strtoul(s->path + len, NULL, 10);
	return true;
}

static void fx_reset(struct fx_conn *c, struct fx_stream *s, uint32_t code)
{
	nghttp2_submit_rst_stream(c->session, 0, s->id, code);
}

static void fx_answer(struct fx_conn *c, struct fx_stream *s)
{
	unsigned int n;

	c->fx->stats.requests++;
	if (!strcmp(s->path, "/echo")) {
		fx_reply(c, s, 200, s->body.len, false);
	} else if (!strncmp(s->path, "/v1/", 4) && c->fx->answer) {
		int status = c->fx->answer(c->fx->answer_ctx, s->path,
					   &s->body);

		if (status)
			fx_reply(c, s, status, s->body.len, false);
	} else if (!strcmp(s->path, "/auth")) {
		buf_clear(&s->body);
		MUST(!buf_append_str(&s->body, s->auth));
		fx_reply(c, s, 200, s->body.len, false);
	} else if (fx_path(s, "/bytes/", &n)) {
		buf_clear(&s->body);
		fx_reply(c, s, 200, n, false);
	} else if (fx_path(s, "/status/", &n)) {
		fx_reply(c, s, (int)n, 0, false);
	} else if (fx_path(s, "/flaky/", &n)) {
		fx_reply(c, s, c->fx->flaky++ < n ? 503 : 200, 0, false);
	} else if (!strcmp(s->path, "/head")) {
		fx_reply(c, s, 200, 0, true);
	} else if (!strcmp(s->path, "/reset")) {
		fx_reset(c, s, NGHTTP2_INTERNAL_ERROR);
	} else if (fx_path(s, "/refuse/", &n) && c->fx->refused++ < n) {
		fx_reset(c, s, NGHTTP2_REFUSED_STREAM);
	} else if (fx_path(s, "/refuse/", &n)) {
		fx_reply(c, s, 200, 0, false);
	} else if (!strcmp(s->path, "/goaway")) {
		snprintf(s->path, sizeof(s->path), "/echo");
		nghttp2_submit_goaway(c->session, 0, s->id > 1 ? s->id - 2 : 0,
				      NGHTTP2_NO_ERROR, NULL, 0);
		c->close = true;
	} else if (!strcmp(s->path, "/die")) {
		c->die = true;
	}
}

/* --- session ------------------------------------------------------------- */

static int fx_on_begin(nghttp2_session *session, const nghttp2_frame *frame,
		       void *arg)
{
	struct fx_conn *c = arg;
	struct h2_fixture_stats *stats = &c->fx->stats;
	struct fx_stream *s = calloc(1, sizeof(*s));

	MUST(s);
	s->id = frame->hd.stream_id;
	LIST_INSERT_HEAD(&c->streams, s, link);
	nghttp2_session_set_stream_user_data(session, s->id, s);
	stats->streams_open++;
	stats->streams_peak = MAX(stats->streams_peak, stats->streams_open);
	return 0;
}

static int fx_on_header(nghttp2_session *session, const nghttp2_frame *frame,
			const uint8_t *name, size_t name_len,
			const uint8_t *value, size_t value_len, uint8_t flags,
			void *arg)
{
	struct fx_stream *s = nghttp2_session_get_stream_user_data(
		session, frame->hd.stream_id);

	if (s && !strcmp((char *)name, ":path"))
		snprintf(s->path, sizeof(s->path), "%s", (char *)value);
	if (s && (!strcmp((char *)name, "authorization") ||
		  !strcmp((char *)name, "x-cronium-token")))
		snprintf(s->auth, sizeof(s->auth), "%s", (char *)value);
	return 0;
}

static int fx_on_data(nghttp2_session *session, uint8_t flags, int32_t id,
		      const uint8_t *data, size_t len, void *arg)
{
	struct fx_stream *s = nghttp2_session_get_stream_user_data(session, id);

	MUST(!buf_append(&s->body, data, len));
	return 0;
}

static int fx_on_frame(nghttp2_session *session, const nghttp2_frame *frame,
		       void *arg)
{
	struct fx_conn *c = arg;
	struct fx_stream *s = nghttp2_session_get_stream_user_data(
		session, frame->hd.stream_id);

	if (frame->hd.type == NGHTTP2_RST_STREAM)
		c->fx->stats.resets++;
	if ((frame->hd.type == NGHTTP2_HEADERS ||
	     frame->hd.type == NGHTTP2_DATA) &&
	    (frame->hd.flags & NGHTTP2_FLAG_END_STREAM) && s)
		fx_answer(c, s);
	return 0;
}

static int fx_on_close(nghttp2_session *session, int32_t id, uint32_t code,
		       void *arg)
{
	struct fx_stream *s = nghttp2_session_get_stream_user_data(session, id);

	if (s)
		fx_stream_free(arg, s);
	return 0;
}

static void fx_session(struct fx_conn *c)
{
	nghttp2_settings_entry settings = {
		NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, c->fx->max_streams
	};
	nghttp2_session_callbacks *cb;

	MUST(!nghttp2_session_callbacks_new(&cb));
	nghttp2_session_callbacks_set_on_begin_headers_callback(cb,
								fx_on_begin);
	nghttp2_session_callbacks_set_on_header_callback(cb, fx_on_header);
	nghttp2_session_callbacks_set_on_data_chunk_recv_callback(cb,
								  fx_on_data);
	nghttp2_session_callbacks_set_on_frame_recv_callback(cb, fx_on_frame);
	nghttp2_session_callbacks_set_on_stream_close_callback(cb, fx_on_close);
	MUST(!nghttp2_session_server_new(&c->session, cb, c));
	nghttp2_session_callbacks_del(cb);
	nghttp2_submit_settings(c->session, 0, &settings, 1);
}

static void fx_on_readable(evutil_socket_t fd, short what, void *arg)
{
	struct fx_conn *c = arg;
	uint8_t in[65536];
	ssize_t n = recv(fd, in, sizeof(in), 0);

	if (n < 0 && errno == EAGAIN)
		return;
	if (n > 0 && !c->session)
		return;
	if (n <= 0 || nghttp2_session_mem_recv(c->session, in, (size_t)n) < 0) {
		fx_conn_free(c);
		return;
	}
	fx_conn_write(c);
}

static void fx_on_writable(evutil_socket_t fd, short what, void *arg)
{
	fx_conn_write(arg);
}

/* --- listener ------------------------------------------------------------ */

static void fx_on_accept(evutil_socket_t lfd, short what, void *arg)
{
	struct h2_fixture *fx = arg;
	int fd = accept4(lfd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
	struct fx_conn *c;

	if (fd < 0)
		return;
	c = calloc(1, sizeof(*c));
	MUST(c);
	c->fx = fx;
	c->fd = fd;
	LIST_INIT(&c->streams);
	LIST_INSERT_HEAD(&fx->conns, c, link);
	c->readable = event_new(fx->base, fd, EV_READ | EV_PERSIST,
				fx_on_readable, c);
	c->writable = event_new(fx->base, fd, EV_WRITE, fx_on_writable, c);
	fx->stats.connections++;
	event_add(c->readable, NULL);
	if (fx->garbage)
		MUST(!buf_append_str(&c->out, fx->garbage));
	else if (!fx->mute)
		fx_session(c);
	fx_conn_write(c);
}

void h2_fixture_start(struct h2_fixture *fx)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };

	unlink(fx->path);
	memcpy(addr.sun_path, fx->path, strlen(fx->path));
	fx->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	MUST(!bind(fx->fd, (struct sockaddr *)&addr, sizeof(addr)));
	MUST(!listen(fx->fd, 64));
	fx->acceptable = event_new(fx->base, fx->fd, EV_READ | EV_PERSIST,
				   fx_on_accept, fx);
	event_add(fx->acceptable, NULL);
}

void h2_fixture_stop(struct h2_fixture *fx)
{
	while (!LIST_EMPTY(&fx->conns))
		fx_conn_free(LIST_FIRST(&fx->conns));
	if (fx->acceptable)
		event_free(fx->acceptable);
	if (fx->fd >= 0)
		close(fx->fd);
	fx->acceptable = NULL;
	fx->fd = -1;
}

void h2_fixture_on_call(struct h2_fixture *fx,
			int (*answer)(void *ctx, const char *path,
				      struct buf *body),
			void *ctx)
{
	fx->answer = answer;
	fx->answer_ctx = ctx;
}

struct h2_fixture *h2_fixture_new(struct event_base *base, uint32_t max_streams)
{
	struct h2_fixture *fx = calloc(1, sizeof(*fx));

	MUST(fx);
	fx->base = base;
	fx->max_streams = max_streams;
	LIST_INIT(&fx->conns);
	snprintf(fx->dir, sizeof(fx->dir), "/tmp/h2-fixture-XXXXXX");
	MUST(mkdtemp(fx->dir));
	snprintf(fx->path, sizeof(fx->path), "%s/sock", fx->dir);
	snprintf(fx->endpoint, sizeof(fx->endpoint), "unix:%s", fx->path);
	h2_fixture_start(fx);
	return fx;
}

void h2_fixture_free(struct h2_fixture *fx)
{
	h2_fixture_stop(fx);
	unlink(fx->path);
	rmdir(fx->dir);
	free(fx);
}

const char *h2_fixture_endpoint(const struct h2_fixture *fx)
{
	return fx->endpoint;
}

void h2_fixture_garbage(struct h2_fixture *fx, const char *bytes)
{
	fx->garbage = bytes;
}

void h2_fixture_mute(struct h2_fixture *fx, bool on)
{
	fx->mute = on;
}

void h2_fixture_freeze(struct h2_fixture *fx)
{
	struct fx_conn *c;

	LIST_FOREACH(c, &fx->conns, link)
		event_del(c->readable);
}

void h2_fixture_goaway(struct h2_fixture *fx)
{
	struct fx_conn *c, *next;

	for (c = LIST_FIRST(&fx->conns); c; c = next) {
		next = LIST_NEXT(c, link);
		nghttp2_submit_goaway(c->session, 0,
				      nghttp2_session_get_last_proc_stream_id(
					      c->session),
				      NGHTTP2_NO_ERROR, NULL, 0);
		fx_conn_write(c);
	}
}

const struct h2_fixture_stats *h2_fixture_stats(const struct h2_fixture *fx)
{
	return &fx->stats;
}
