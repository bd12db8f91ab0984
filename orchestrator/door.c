#include "orchestrator/door.h"

#include <errno.h>
#include <event2/event.h>
#include <stdio.h>
#include <string.h>
#include <sys/queue.h>

#include "common/clock.h"
#include "common/door_message.h"
#include "common/json.h"
#include "common/net_host.h"
#include "orchestrator/egress.h"
#include "orchestrator/egress_connect.h"

#define DOOR_MESSAGES_PER_TURN 8
#define DOOR_RATE_MS 10000
#define DOOR_NOTICE_BYTES 896

/* A connect of the script that is not answered yet. */
struct door_request {
	LIST_ENTRY(door_request) link;
	struct door *door;
	json_int_t id;
	char host[NET_HOST_BYTES];
	uint16_t port;
	struct egress_connect *connect; /* NULL: answered, to be freed */
};

struct door {
	struct door_config config;
	struct egress *egress;
	int fd;
	struct event *readable;
	struct event *turn;  /* frees what is answered; tells of the end */
	struct event *again; /* ends a pause for the rate */
	LIST_HEAD(, door_request) requests, answered;
	unsigned int n_requests;
	unsigned int recent; /* since recent_ms */
	uint64_t recent_ms;
	const char *lost; /* why it is closed */
	bool told;
};

/* --- the end -------------------------------------------------------------- */

static void door_lose(struct door *d, const char *why)
{
	if (d->lost)
		return;
	d->lost = why;
	event_del(d->readable);
	event_del(d->again);
	event_active(d->turn, EV_TIMEOUT, 0);
}

static void door_request_free(struct door_request *q)
{
	LIST_REMOVE(q, link);
	egress_connect_free(q->connect);
	free(q);
}

/* --- back-pressure -------------------------------------------------------- */

/* Reads only while there is room for one more. */
static void door_settle(struct door *d)
{
	uint64_t now = clock_mono_ms();
	struct timeval tv;

	if (d->lost)
		return;
	if (now - d->recent_ms >= DOOR_RATE_MS) {
		d->recent_ms = now;
		d->recent = 0;
	}
	if (d->n_requests < DOOR_CONNECTS_MAX && d->recent < DOOR_PER_10S) {
		event_add(d->readable, NULL);
		return;
	}
	event_del(d->readable);
	if (d->recent < DOOR_PER_10S)
		return;
	tv = clock_timeval(DOOR_RATE_MS - (now - d->recent_ms));
	event_add(d->again, &tv);
}

static void door_on_again(int fd, short what, void *ctx)
{
	door_settle(ctx);
}

/* --- answers -------------------------------------------------------------- */

static void door_answer(struct door *d, json_t *message, int attached)
{
	if (!d->lost && door_message_send(d->fd, message, attached) < 0)
		door_lose(d, "the sidecar does not take its answers");
	else if (d->lost)
		json_decref(message);
}

static void door_refuse(struct door *d, json_int_t id, const char *refused,
			const char *detail)
{
	door_answer(d,
		    json_pack("{s:I,s:s,s:s}", "id", id, "refused", refused,
			      "detail", detail),
		    -1);
}

static void door_notice(struct door *d, const char *host, uint16_t port,
			const char *detail)
{
	char line[DOOR_NOTICE_BYTES];
	bool last = false;

	if (!egress_note(d->egress, host, port, &last))
		return;
	snprintf(line, sizeof(line), "network: %s%s", detail,
		 last ? "; more of this kind is not logged" : "");
	d->config.ops->on_notice(d->config.ctx, line);
}

static void door_on_connect(void *ctx,
			    const struct egress_connect_result *result)
{
	struct door_request *q = ctx;
	struct door *d = q->door;

	if (result->fd >= 0) {
		door_answer(d,
			    json_pack("{s:I,s:s}", "id", q->id, "connected",
				      result->address),
			    result->fd);
		close(result->fd);
	} else {
		if (!strcmp(result->refused, "private"))
			door_notice(d, q->host, q->port, result->detail);
		door_refuse(d, q->id, result->refused, result->detail);
	}
	LIST_REMOVE(q, link);
	LIST_INSERT_HEAD(&d->answered, q, link);
	d->n_requests--;
	event_active(d->turn, EV_TIMEOUT, 0);
}

/* --- requests ------------------------------------------------------------- */

static int door_connect(struct door *d, json_int_t id, const char *host,
			uint16_t port)
{
	struct door_request *q = calloc(1, sizeof(*q));
	int r;

	if (!q)
		return -ENOMEM;
	q->door = d;
	q->id = id;
	q->port = port;
	snprintf(q->host, sizeof(q->host), "%s", host);
	r = egress_connect_start(&q->connect, d->config.base, d->config.allow,
				 host, port, door_on_connect, q);
	if (r < 0) {
		free(q);
		return r;
	}
	LIST_INSERT_HEAD(&d->requests, q, link);
	d->n_requests++;
	return 0;
}

static void door_forbid(struct door *d, json_int_t id, const char *host,
			uint16_t port, bool is_v6)
{
	char detail[EGRESS_CONNECT_DETAIL_BYTES], suffix[8] = "";

	if (port != 80 && port != 443)
		snprintf(suffix, sizeof(suffix), ":%u", port);
	snprintf(detail, sizeof(detail),
		 "the job may not connect to %s, port %u; --allow-net=%s%s%s%s "
		 "allows it",
		 host, port, is_v6 ? "[" : "", host, is_v6 ? "]" : "", suffix);
	door_notice(d, host, port, detail);
	door_refuse(d, id, "forbidden", detail);
}

/* False when it is no message of a door. */
static bool door_take(struct door *d, const json_t *message)
{
	const json_t *id = json_object_get(message, "id");
	const json_t *to = json_object_get(message, "connect");
	const char *name = json_get_str(to, "host", NULL);
	int64_t port = json_get_int(to, "port", 0);
	char host[NET_HOST_BYTES];
	enum net_host_kind kind;

	if (!json_is_integer(id) || !name || port < 1 || port > UINT16_MAX ||
	    net_host_normal(name, strlen(name), host, &kind) < 0)
		return false;
	d->recent++;
	if (!egress_permits(d->egress, host, (uint16_t)port))
		door_forbid(d, json_integer_value(id), host, (uint16_t)port,
			    kind == NET_HOST_IPV6);
	else if (door_connect(d, json_integer_value(id), host, (uint16_t)port) <
		 0)
		door_refuse(d, json_integer_value(id), "unreachable",
			    "the orchestrator is out of memory or threads; "
			    "try again later");
	return true;
}

/* False when there is nothing more to read. */
static bool door_read(struct door *d)
{
	json_t *message;
	int attached, r;
	bool good;

	r = door_message_receive(d->fd, &message, &attached);
	if (r == -EAGAIN || r == -EINTR)
		return false;
	if (r < 0) {
		door_lose(d, r == -EPROTO ? "a malformed message"
					  : "the sidecar closed it");
		return false;
	}
	closep(&attached);
	good = door_take(d, message);
	json_decref(message);
	if (!good)
		door_lose(d, "a malformed message");
	return good;
}

static void door_on_readable(int fd, short what, void *ctx)
{
	struct door *d = ctx;

	for (int i = 0; i < DOOR_MESSAGES_PER_TURN; i++)
		if (d->n_requests == DOOR_CONNECTS_MAX ||
		    d->recent >= DOOR_PER_10S || !door_read(d))
			break;
	door_settle(d);
}

static void door_on_turn(int fd, short what, void *ctx)
{
	struct door *d = ctx;
	struct door_request *q;

	while ((q = LIST_FIRST(&d->answered)))
		door_request_free(q);
	door_settle(d);
	if (!d->lost || d->told)
		return;
	d->told = true;
	d->config.ops->on_lost(d->config.ctx, d->lost);
}

/* --- life ----------------------------------------------------------------- */

int door_new(struct door **out, const struct door_config *config, int fd)
{
	struct door *d = calloc(1, sizeof(*d));
	int r = -ENOMEM;

	if (!d) {
		close(fd);
		return -ENOMEM;
	}
	d->config = *config;
	d->config.net = NULL;
	d->fd = fd;
	d->recent_ms = clock_mono_ms();
	d->readable = event_new(config->base, fd, EV_READ | EV_PERSIST,
				door_on_readable, d);
	d->turn = event_new(config->base, -1, 0, door_on_turn, d);
	d->again = evtimer_new(config->base, door_on_again, d);
	if (d->readable && d->turn && d->again)
		r = egress_new(&d->egress, config->net);
	if (!r && event_add(d->readable, NULL) < 0)
		r = -ENOMEM;
	if (r < 0) {
		door_free(d);
		return r;
	}
	*out = d;
	return 0;
}

void door_free(struct door *d)
{
	struct door_request *q;

	if (!d)
		return;
	while ((q = LIST_FIRST(&d->requests)))
		door_request_free(q);
	while ((q = LIST_FIRST(&d->answered)))
		door_request_free(q);
	if (d->readable)
		event_free(d->readable);
	if (d->turn)
		event_free(d->turn);
	if (d->again)
		event_free(d->again);
	egress_free(d->egress);
	close(d->fd);
	free(d);
}
