#include "sidecar/proxy_conn.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "common/clock.h"
#include "common/http/problem.h"
#include "common/trace.h"
#include "sidecar/door.h"
#include "sidecar/metrics.h"
#include "sidecar/proxy_impl.h"

#define PROXY_READ_BYTES 16384
#define PROXY_THROWN_AWAY_MAX_BYTES (1024 * 1024) /* after a refusal */

static const char PROXY_CONNECTED[] =
	"HTTP/1.1 200 Connection Established\r\n\r\n";

/* --- states --------------------------------------------------------------- */

static UNUSED const unsigned int proxy_conn_moves[] = {
	[PROXY_HEAD] = 1 << PROXY_WAITING | 1 << PROXY_REFUSED,
	[PROXY_WAITING] = 1 << PROXY_OPENING | 1 << PROXY_REFUSED,
	[PROXY_OPENING] = 1 << PROXY_PUMPING | 1 << PROXY_REFUSED,
	[PROXY_PUMPING] = 0,
	[PROXY_REFUSED] = 0,
	[PROXY_CLOSED] = 0,
};

static void proxy_conn_set_timer(struct proxy_conn *c, uint64_t ms)
{
	const struct timeval tv = clock_timeval(ms);

	event_add(c->timer, &tv);
}

static void proxy_conn_set_state(struct proxy_conn *c,
				 enum proxy_conn_state state, uint64_t ms)
{
	assert(proxy_conn_moves[c->state] & (1U << state));
	if (c->state == PROXY_WAITING)
		TAILQ_REMOVE(&c->proxy->waiting, c, waiting);
	c->state = state;
	proxy_conn_set_timer(c, ms);
}

void proxy_conn_close(struct proxy_conn *c)
{
	struct proxy *p = c->proxy;

	if (c->state == PROXY_CLOSED)
		return;
	if (c->state == PROXY_WAITING)
		TAILQ_REMOVE(&p->waiting, c, waiting);
	c->state = PROXY_CLOSED;
	door_call_cancel(c->call);
	c->call = NULL;
	p->metrics->proxy_bytes_up += c->up.bytes;
	p->metrics->proxy_bytes_down += c->down.bytes;
	proxy_pump_deinit(&c->up);
	proxy_pump_deinit(&c->down);
	event_del(c->read);
	event_del(c->timer);
	TAILQ_REMOVE(&p->conns, c, link);
	TAILQ_INSERT_TAIL(&p->dead, c, link);
	proxy_wake(p);
}

/* --- refusing ------------------------------------------------------------- */

static int proxy_conn_write_problem(const struct proxy_conn *c, int status,
				    const char *code, const char *detail,
				    struct buf *out)
{
	_cleanup_(buf_deinit) struct buf body = { 0 };
	char trace[TRACE_BYTES];
	int r;

	trace_new(trace);
	r = http_problem_append(&body, &(struct http_problem_text){
					       .status = status,
					       .code = code,
					       .detail = detail,
					       .trace_id = trace,
				       });
	if (!r)
		r = buf_printf(out,
			       "HTTP/1.1 %d %s\r\n"
			       "Content-Type: application/problem+json\r\n"
			       "Content-Length: %zu\r\n"
			       "Connection: close\r\n\r\n",
			       status, http_status_phrase(status), body.len);
	return r || c->head.head ? r : buf_append(out, body.data, body.len);
}

static void proxy_conn_refuse(struct proxy_conn *c, int status,
			      const char *code, const char *detail)
{
	_cleanup_(buf_deinit) struct buf reply = { 0 };

	c->proxy->metrics->proxy_refused++;
	proxy_conn_set_state(c, PROXY_REFUSED, PROXY_LINGER_MS);
	/* It fits into the socket's empty buffer, or the client is gone. */
	if (proxy_conn_write_problem(c, status, code, detail, &reply) < 0 ||
	    send(c->client, reply.data, reply.len, MSG_NOSIGNAL) !=
		    (ssize_t)reply.len) {
		proxy_conn_close(c);
		return;
	}
	shutdown(c->client, SHUT_WR);
	event_add(c->read, NULL);
}

/* Closing with unread bytes would reset the connection, reply and all. */
static void proxy_conn_throw_away(struct proxy_conn *c)
{
	ssize_t n = recv(c->client, c->proxy->scratch, PROXY_PUMP_BYTES, 0);

	if (n < 0 && errno == EAGAIN)
		return;
	c->thrown_away += (size_t)MAX(n, 0);
	if (n <= 0 || c->thrown_away > PROXY_THROWN_AWAY_MAX_BYTES)
		proxy_conn_close(c);
}

/* --- pumping -------------------------------------------------------------- */

/* The reply ends the exchange, whatever has become of the request. */
static bool proxy_conn_is_over(const struct proxy_conn *c)
{
	return c->down.over && (c->up.over || !c->head.connect);
}

static void proxy_conn_on_pump(struct proxy_pump *pump, int error, void *ctx)
{
	struct proxy_conn *c = ctx;

	c->active_ms = clock_mono_ms();
	/* A server that answers early reads no more of the request. */
	if (error && pump == &c->up && !c->head.connect &&
	    (error == EPIPE || error == ECONNRESET)) {
		proxy_pump_deinit(pump);
		pump->over = true;
		return;
	}
	if (error || proxy_conn_is_over(c))
		proxy_conn_close(c);
}

static uint64_t proxy_conn_idle_ms(const struct proxy_conn *c)
{
	if (c->head.connect && (c->up.over || c->down.over))
		return PROXY_HALF_IDLE_MS;
	return PROXY_IDLE_MS;
}

/* What came behind the head is the first that goes on. */
static int proxy_conn_fill(struct proxy_conn *c)
{
	int r;

	if (c->head.connect) {
		r = buf_append(&c->down.held, PROXY_CONNECTED,
			       sizeof(PROXY_CONNECTED) - 1);
		return r || !c->in.len
			       ? r
			       : buf_append(&c->up.held, c->in.data, c->in.len);
	}
	proxy_body_init(&c->body, c->head.chunked, c->head.body_bytes);
	c->up.body = &c->body;
	c->down.reply = &c->reply;
	r = buf_append(&c->up.held, c->head.forward.data, c->head.forward.len);
	if (!r && !c->body.done && c->in.len)
		r = proxy_body_read(&c->body, c->in.data, c->in.len,
				    &c->up.held);
	return r;
}

static void proxy_conn_pump(struct proxy_conn *c, int server)
{
	struct proxy *p = c->proxy;

	c->server = server;
	c->proxy->metrics->proxy_connected++;
	c->active_ms = clock_mono_ms();
	proxy_conn_set_state(c, PROXY_PUMPING, PROXY_HALF_IDLE_MS);
	proxy_pump_init(&c->up, c->client, server, p->scratch,
			proxy_conn_on_pump, c);
	proxy_pump_init(&c->down, server, c->client, p->scratch,
			proxy_conn_on_pump, c);
	if (proxy_conn_fill(c) < 0 || proxy_pump_start(&c->up, p->base) < 0 ||
	    proxy_pump_start(&c->down, p->base) < 0) {
		proxy_conn_close(c);
		return;
	}
	buf_deinit(&c->in);
	buf_deinit(&c->head.forward);
}

/* --- the door ------------------------------------------------------------- */

static void proxy_conn_refuse_as(struct proxy_conn *c, const char *refused,
				 const char *detail)
{
	static const struct {
		const char *refused;
		int status;
		const char *code;
	} answers[] = {
		{ "forbidden", 403, "net_forbidden" },
		{ "private", 403, "net_private" },
		{ "unresolved", 502, "net_unresolved" },
		{ "timeout", 504, "net_timeout" },
		{ "unreachable", 502, "net_unreachable" },
	};
	size_t i = 0;

	while (i < ARRAY_SIZE(answers) - 1 &&
	       strcmp(answers[i].refused, refused) != 0)
		i++;
	proxy_conn_refuse(c, answers[i].status, answers[i].code, detail);
}

static void proxy_conn_on_door(void *ctx, const struct door_result *result)
{
	struct proxy_conn *c = ctx;

	c->call = NULL;
	proxy_wake(c->proxy);
	if (result->fd >= 0)
		proxy_conn_pump(c, result->fd);
	else
		proxy_conn_refuse_as(c, result->refused, result->detail);
}

bool proxy_conn_open(struct proxy_conn *c)
{
	int r = door_connect(c->proxy->door, c->head.host, c->head.port,
			     proxy_conn_on_door, c, &c->call);

	if (r == -EBUSY)
		return false;
	if (r == 0)
		proxy_conn_set_state(c, PROXY_OPENING, PROXY_OPEN_MS);
	else
		proxy_conn_refuse(c, 502, "net_unreachable",
				  r == -EPIPE
					  ? "the door to the orchestrator is "
					    "shut: the job ends"
					  : "the sidecar is out of memory");
	return true;
}

/* --- the head ------------------------------------------------------------- */

static void proxy_conn_take_head(struct proxy_conn *c, size_t len)
{
	const char *why = "the sidecar is out of memory";
	size_t n = len - c->scan.start;
	_cleanup_free_ char *text = malloc(n + 1);
	int r = -ENOMEM;

	if (text) {
		memcpy(text, c->in.data + c->scan.start, n);
		r = proxy_head_parse(&c->head, text, n, c->scan.lines, &why);
	}
	event_del(c->read);
	if (r) {
		proxy_conn_refuse(c, r < 0 ? 503 : r,
				  r < 0 ? "out_of_memory" : "bad_request", why);
		return;
	}
	buf_consume(&c->in, len);
	proxy_conn_set_state(c, PROXY_WAITING, PROXY_OPEN_MS);
	TAILQ_INSERT_TAIL(&c->proxy->waiting, c, waiting);
	proxy_wake(c->proxy);
}

static void proxy_conn_read_head(struct proxy_conn *c)
{
	const char *why = "";
	ssize_t n = recv(c->client, c->proxy->scratch, PROXY_READ_BYTES, 0);

	if (n < 0 && errno == EAGAIN)
		return;
	if (n <= 0 || buf_append(&c->in, c->proxy->scratch, (size_t)n) < 0) {
		proxy_conn_close(c);
		return;
	}
	n = head_scan(&c->scan, c->in.data, c->in.len, PROXY_HEAD_MAX_BYTES,
		      &why);
	if (n > 0)
		proxy_conn_take_head(c, (size_t)n);
	else if (n < 0)
		proxy_conn_refuse(c, (int)-n, "bad_request", why);
}

static void proxy_conn_on_read(evutil_socket_t fd, short what, void *ctx)
{
	struct proxy_conn *c = ctx;

	if (c->state == PROXY_HEAD)
		proxy_conn_read_head(c);
	else
		proxy_conn_throw_away(c);
}

static void proxy_conn_on_timer(evutil_socket_t fd, short what, void *ctx)
{
	struct proxy_conn *c = ctx;
	uint64_t idle;

	switch (c->state) {
	case PROXY_HEAD:
		if (!c->in.len)
			break;
		event_del(c->read);
		proxy_conn_refuse(c, 408, "bad_request",
				  "the request's head did not come in time");
		return;
	case PROXY_WAITING:
	case PROXY_OPENING:
		door_call_cancel(c->call);
		c->call = NULL;
		proxy_conn_refuse(c, 504, "net_timeout",
				  "too many connections of this job are being "
				  "opened; try again later");
		return;
	case PROXY_PUMPING:
		idle = clock_mono_ms() - c->active_ms;
		if (idle >= proxy_conn_idle_ms(c))
			break;
		proxy_pump_trim(&c->up);
		proxy_pump_trim(&c->down);
		proxy_conn_set_timer(c, MIN(proxy_conn_idle_ms(c) - idle,
					    PROXY_HALF_IDLE_MS));
		return;
	default:
		break;
	}
	proxy_conn_close(c);
}

/* --- life ----------------------------------------------------------------- */

int proxy_conn_new(struct proxy_conn **out, struct proxy *p, int fd)
{
	struct proxy_conn *c = calloc(1, sizeof(*c));

	if (!c) {
		close(fd);
		return -ENOMEM;
	}
	c->proxy = p;
	c->client = fd;
	c->server = -1;
	c->read = event_new(p->base, fd, EV_READ | EV_PERSIST,
			    proxy_conn_on_read, c);
	c->timer = evtimer_new(p->base, proxy_conn_on_timer, c);
	if (!c->read || !c->timer || event_add(c->read, NULL) < 0) {
		proxy_conn_free(c);
		return -ENOMEM;
	}
	proxy_conn_set_timer(c, PROXY_HEAD_MS);
	*out = c;
	return 0;
}

void proxy_conn_free(struct proxy_conn *c)
{
	if (c->read)
		event_free(c->read);
	if (c->timer)
		event_free(c->timer);
	closep(&c->client);
	closep(&c->server);
	buf_deinit(&c->in);
	buf_deinit(&c->head.forward);
	free(c);
}
