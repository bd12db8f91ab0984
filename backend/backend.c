#include "backend/backend.h"

#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "backend/api.h"
#include "backend/auth.h"
#include "backend/capabilities.h"
#include "backend/change_hub.h"
#include "backend/data_dir.h"
#include "backend/follow.h"
#include "backend/intake.h"
#include "backend/live.h"
#include "backend/metrics.h"
#include "backend/neighbours.h"
#include "backend/queue.h"
#include "backend/refusals.h"
#include "backend/retries.h"
#include "backend/run_dir.h"
#include "backend/startup.h"
#include "backend/store_queue.h"
#include "backend/stream_hub.h"
#include "backend/streams.h"
#include "backend/tools.h"
#include "backend/waits.h"
#include "common/clock.h"
#include "common/file.h"
#include "common/file_lock.h"
#include "common/http/tls.h"
#include "common/id.h"
#include "common/log.h"
#include "common/token.h"
#include "common/unix_socket.h"
#include "payload/sign.h"

/* --- setting up ---------------------------------------------------------- */

static int sign_script(const void *signer, const void *script, size_t len,
		       struct buf *out)
{
	return payload_sign(signer, script, len, out);
}

/* Backends that start at once make one set of keys: each has it locked until
 * its own are written. The descriptor, or negative errno. */
static int lock_keys(const char *dir, char *err, size_t err_size)
{
	_cleanup_free_ char *path = NULL;
	_cleanup_close_ int fd = -1;
	int r = file_make_dirs(dir, 0700);

	if (!r && asprintf(&path, "%s/" KEYS_LOCK_FILE, dir) < 0)
		r = -ENOMEM;
	if (!r) {
		fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
		r = fd < 0 ? -errno : file_lock(fd, FILE_LOCK_WAIT_MS);
	}
	if (!r) {
		r = fd;
		fd = -1;
		return r;
	}
	snprintf(err, err_size, "cannot lock the keys in %s: %s", dir,
		 strerror(-r));
	return r;
}

/* In this order; see keys.h. */
static int open_data(struct backend *b, char *err, size_t err_size)
{
	const char *keys_dir = b->config->keys_dir;
	_cleanup_close_ int lock_fd = -1;
	struct store_config config;
	int r = data_dir_open(&b->dir, b->config->data_dir, FILE_LOCK_WAIT_MS,
			      err, err_size);

	if (!r && keys_dir) {
		lock_fd = lock_keys(keys_dir, err, err_size);
		r = MIN(lock_fd, 0);
	}
	if (!r)
		r = keys_load(&b->keys,
			      keys_dir ? keys_dir : data_dir_path(b->dir), err,
			      err_size);
	if (r)
		return r;
	config = (struct store_config){
		.data_dir = data_dir_path(b->dir),
		.url = b->config->store,
		.vault = b->keys.vault,
		.sign = sign_script,
		.signer = b->keys.payload,
	};
	r = store_open(&b->store, b->base, &config, err, err_size);
	b->shared = !r && store_is_shared(b->store);
	return r ? r : keys_save(&b->keys, err, err_size);
}

static int make_server(struct backend *b)
{
	struct http_limits limits = HTTP_LIMITS_DEFAULT;

	limits.connections = BACKEND_CONNECTIONS_MAX;
	limits.concurrent_streams = BACKEND_STREAMS_MAX;
	limits.write_idle_timeout_ms = BACKEND_WRITE_IDLE_MS;
	/* Each route has its own limit; this one is over all of them. */
	limits.body_bytes = 2 * (uint64_t)BACKEND_VALUE_CEILING_BYTES +
			    2 * (uint64_t)BACKEND_SCRIPT_MAX_BYTES;
	return http_server_new(&b->server, b->base, &limits, api_on_request, b);
}

static int make_public_keys(struct backend *b)
{
	int r = token_key_public_pem(b->keys.signing, &b->public_pem);

	if (!r)
		r = payload_signer_public_base64(b->keys.payload,
						 &b->payload_key);
	if (!r)
		r = payload_signer_public_pem(b->keys.payload, &b->payload_pem);
	if (!r && (!buf_cstr(&b->public_pem) || !buf_cstr(&b->payload_key)))
		r = -ENOMEM;
	return r;
}

static int make_parts(struct backend *b)
{
	int r = make_public_keys(b);

	if (!r)
		r = metrics_new(&b->metrics);
	if (!r)
		r = live_new(&b->live);
	if (!r)
		r = change_hub_new(&b->changes, b);
	if (!r)
		r = refusals_new(&b->refusals, b);
	if (!r)
		r = follow_new(&b->follow);
	if (!r)
		r = streams_new(&b->streams, b);
	if (!r && b->shared)
		stream_hub_set_shared(streams_hub(b->streams));
	if (!r)
		r = auth_new(&b->auth, b);
	if (!r)
		r = neighbours_new(&b->neighbours, b);
	if (!r)
		r = queue_new(&b->queue, b);
	if (!r)
		r = retries_new(&b->retries, b);
	if (!r)
		r = waits_new(&b->waits, b);
	if (!r)
		r = intake_new(&b->intake, b->base, b->keys.payload);
	return r ? r : make_server(b);
}

int backend_open(struct backend *b, const struct backend_config *config,
		 char *err, size_t err_size)
{
	int r;

	*b = (struct backend){ .config = config };
	id_new("be", b->instance);
	b->base = event_base_new();
	if (!b->base) {
		snprintf(err, err_size, "cannot make an event loop");
		return -ENOMEM;
	}
	r = open_data(b, err, err_size);
	if (r)
		return r;
	r = run_dir_make(config->run_dir, err, err_size);
	if (!r && config->tls_cert)
		r = http_tls_new(&b->tls, config->tls_cert, config->tls_key,
				 err, err_size);
	if (r)
		return r;
	r = make_parts(b);
	if (r) {
		snprintf(err, err_size, "cannot start: %s", strerror(-r));
		return r;
	}
	r = capabilities_new(&b->capabilities, err, err_size);
	return r ? r : tools_new(&b->tools, b, err, err_size);
}

void backend_close(struct backend *b)
{
	http_server_free(b->server);
	tools_free(b->tools);
	capabilities_free(b->capabilities);
	intake_free(b->intake);
	retries_free(b->retries);
	waits_free(b->waits);
	neighbours_free(b->neighbours);
	queue_free(b->queue);
	store_close(b->store);
	auth_free(b->auth);
	streams_free(b->streams);
	follow_free(b->follow);
	change_hub_free(b->changes);
	refusals_free(b->refusals);
	live_free(b->live);
	metrics_free(b->metrics);
	http_tls_free(b->tls);
	buf_deinit(&b->public_pem);
	buf_deinit(&b->payload_key);
	buf_deinit(&b->payload_pem);
	keys_deinit(&b->keys);
	data_dir_close(b->dir);
	if (b->on_term)
		event_free(b->on_term);
	if (b->on_int)
		event_free(b->on_int);
	if (b->on_hup)
		event_free(b->on_hup);
	if (b->drain_timer)
		event_free(b->drain_timer);
	if (b->base)
		event_base_free(b->base);
}

/* --- listening ----------------------------------------------------------- */

static int listen_unix(struct backend *b, const char *name, mode_t mode,
		       enum auth_listener tag)
{
	struct sockaddr_un addr;
	int r = unix_socket_address_in(&addr, b->config->run_dir, name);

	if (!r)
		r = http_server_listen_unix(b->server, addr.sun_path, mode,
					    auth_listener_tag(tag));
	if (r)
		log_error("-", "cannot listen on %s/%s: %s%s",
			  b->config->run_dir, name, strerror(-r),
			  r == -ENAMETOOLONG ? "; choose a shorter --run-dir"
					     : "");
	return r;
}

/* "HOST:PORT" and "[::1]:PORT". */
static int split_address(const char *s, char *host, size_t size, uint16_t *port)
{
	const char *colon = strrchr(s, ':');
	size_t len = colon ? (size_t)(colon - s) : 0;
	char *end;
	long n;

	if (!colon || len == 0 || len >= size || !colon[1])
		return -EINVAL;
	if (s[0] == '[' && s[len - 1] == ']') {
		s++;
		len -= 2;
	}
	memcpy(host, s, len);
	host[len] = '\0';
	n = strtol(colon + 1, &end, 10);
	if (*end || n < 0 || n > 65535)
		return -EINVAL;
	*port = (uint16_t)n;
	return 0;
}

static int listen_tcp(struct backend *b, uint16_t *bound)
{
	char host[256];
	uint16_t port;
	int r;

	*bound = 0;
	if (!strcmp(b->config->listen, "none"))
		return 0;
	r = split_address(b->config->listen, host, sizeof(host), &port);
	if (!r)
		r = http_server_listen_tcp(b->server, host, port, b->tls,
					   auth_listener_tag(AUTH_TCP), bound);
	if (r)
		log_error("-", "cannot listen on %s: %s", b->config->listen,
			  r == -EINVAL ? "it is not HOST:PORT" : strerror(-r));
	return r;
}

static void on_started(struct backend *b, const char *why)
{
	uint16_t port = 0;

	if (why)
		log_error("-", "cannot read the store: %s", why);
	if (why || listen_unix(b, RUN_DIR_API_SOCKET, 0600, AUTH_API_SOCKET) ||
	    listen_unix(b, RUN_DIR_RUNTIME_SOCKET, 0666, AUTH_RUNTIME_SOCKET) ||
	    listen_tcp(b, &port)) {
		b->failed = true;
		event_base_loopbreak(b->base);
		return;
	}
	log_info("-",
		 "ready version=" CRONIUM_VERSION
		 " data=%s run=%s listen=%s port=%u tls=%s executions=%zu",
		 b->config->data_dir, b->config->run_dir, b->config->listen,
		 port, b->tls ? "yes" : "no", live_count(b->live));
	streams_start(b->streams);
	if (neighbours_start(b->neighbours))
		log_error("-", "out of memory: other backends are not heard");
}

/* --- running ------------------------------------------------------------- */

/*
 * Stopping: the streams of claims, logs and changes end, requests under way are
 * finished, then the store's completions are heard to the last. Twice: a claim
 * that is heard only now is given back, which is one more operation. Writes
 * complete in their order; to expire the leases of the year 1970 changes
 * nothing.
 */
static void backend_flush(struct backend *b);

static void on_flushed(int r, const struct store_result *result, void *ctx)
{
	backend_flush(ctx);
}

static void backend_flush(struct backend *b)
{
	const struct store_done done = { NULL, on_flushed, b };

	if (b->flushes++ == BACKEND_FLUSHES ||
	    store_queue_expire(b->store, 0, done))
		event_base_loopbreak(b->base);
}

static void on_drained(void *ctx)
{
	struct backend *b = ctx;

	if (b->flushes == 0)
		backend_flush(b);
}

/* No exchange is left; actions of scripts that have hung up may be. */
static void on_served(void *ctx)
{
	struct backend *b = ctx;

	tools_stop(b->tools, on_drained, b);
}

static void on_drain_timeout(evutil_socket_t fd, short what, void *ctx)
{
	log_warn("-", "some connections are still open: closing them");
	on_drained(ctx);
}

static void on_signal(evutil_socket_t sig, short what, void *ctx)
{
	const struct timeval limit = clock_timeval(BACKEND_DRAIN_MS);
	struct backend *b = ctx;

	if (b->draining)
		return;
	log_info("-", "stopping: %s", strsignal((int)sig));
	b->draining = true;
	event_add(b->drain_timer, &limit);
	neighbours_stop(b->neighbours);
	queue_stop(b->queue);
	retries_stop(b->retries);
	waits_stop(b->waits);
	change_hub_stop(b->changes);
	refusals_stop(b->refusals);
	follow_stop(b->follow);
	streams_stop(b->streams);
	tools_stop(b->tools, NULL, NULL);
	http_server_drain(b->server, on_served, b);
}

static void on_reload(evutil_socket_t sig, short what, void *ctx)
{
	struct backend *b = ctx;

	tools_reload(b->tools);
}

int backend_run(struct backend *b)
{
	int r;

	b->on_term = evsignal_new(b->base, SIGTERM, on_signal, b);
	b->on_int = evsignal_new(b->base, SIGINT, on_signal, b);
	b->on_hup = evsignal_new(b->base, SIGHUP, on_reload, b);
	b->drain_timer = event_new(b->base, -1, 0, on_drain_timeout, b);
	if (!b->on_term || !b->on_int || !b->on_hup || !b->drain_timer ||
	    event_add(b->on_term, NULL) || event_add(b->on_int, NULL) ||
	    event_add(b->on_hup, NULL)) {
		log_error("-", "cannot handle signals");
		return -1;
	}
	r = startup_run(b, on_started);
	if (r) {
		log_error("-", "cannot read the store: %s", strerror(-r));
		return -1;
	}
	event_base_dispatch(b->base);
	return b->failed ? -1 : 0;
}
