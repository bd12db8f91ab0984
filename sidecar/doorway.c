#include "sidecar/doorway.h"

#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/http/server.h"
#include "common/log.h"
#include "sidecar/door.h"
#include "sidecar/proxy.h"

struct doorway {
	struct doorway_config config;
	struct door *door;
	struct proxy *proxy; /* NULL: not yet */
	char *execution;     /* of a gateway's door, once it was said */
};

static void doorway_on_api(void *ctx, int fd)
{
	struct doorway *d = ctx;

	if (http_server_adopt(d->config.server, fd, NULL) < 0)
		log_warn("-", "a connection that came in by the door is "
			      "closed");
}

/* Of a gateway: whose it is was said before that one had its seat. Without
 * memory there is no proxy. */
static void doorway_start_proxy(struct doorway *d)
{
	struct metrics *metrics;

	if (!d->execution)
		return;
	metrics = d->config.on_execution(d->config.ctx, d->execution);
	if (metrics &&
	    proxy_new(&d->proxy, d->config.base, d->door, metrics) < 0)
		d->proxy = NULL;
}

static void doorway_on_proxy(void *ctx, int fd)
{
	struct doorway *d = ctx;

	if (!d->proxy)
		doorway_start_proxy(d);
	if (d->proxy)
		proxy_adopt(d->proxy, fd);
	else
		close(fd);
}

static void doorway_on_execution(void *ctx, const char *execution)
{
	struct doorway *d = ctx;

	if (!d->execution && d->config.on_execution)
		d->execution = strdup(execution);
}

static void doorway_on_lost(void *ctx, const char *reason)
{
	struct doorway *d = ctx;

	if (d->config.on_lost)
		d->config.on_lost(d->config.ctx, reason);
}

static const struct door_ops doorway_door_ops = {
	.on_api = doorway_on_api,
	.on_proxy = doorway_on_proxy,
	.on_execution = doorway_on_execution,
	.on_lost = doorway_on_lost,
};

static int doorway_finish(struct doorway *d, int r, struct doorway **out)
{
	if (!r && d->config.metrics)
		r = proxy_new(&d->proxy, d->config.base, d->door,
			      d->config.metrics);
	if (r < 0)
		doorway_free(d);
	else
		*out = d;
	return r;
}

int doorway_new(struct doorway **out, const struct doorway_config *config,
		const char *address)
{
	struct doorway *d = calloc(1, sizeof(*d));

	if (!d)
		return -ENOMEM;
	d->config = *config;
	return doorway_finish(d,
			      door_new(&d->door, config->base, address,
				       &doorway_door_ops, d),
			      out);
}

int doorway_new_fd(struct doorway **out, const struct doorway_config *config,
		   int fd)
{
	struct doorway *d = calloc(1, sizeof(*d));

	if (!d) {
		close(fd);
		return -ENOMEM;
	}
	d->config = *config;
	return doorway_finish(d,
			      door_new_fd(&d->door, config->base, fd,
					  &doorway_door_ops, d),
			      out);
}

void doorway_free(struct doorway *d)
{
	if (!d)
		return;
	proxy_free(d->proxy);
	door_free(d->door);
	free(d->execution);
	free(d);
}

int doorway_keep(struct doorway *d, const struct sockaddr_un *again)
{
	return door_keep(d->door, again);
}

int doorway_listen(struct doorway *d, const char *address)
{
	return d->proxy ? proxy_listen(d->proxy, address) : -EPIPE;
}

uint32_t doorway_connections(const struct doorway *d)
{
	return d && d->proxy ? proxy_connections(d->proxy) : 0;
}
