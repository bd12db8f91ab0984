#include "orchestrator/ssh_pool.h"

#include <errno.h>
#include <event2/event.h>
#include <stdbool.h>
#include <stdio.h>

#include "common/clock.h"
#include "common/log.h"
#include "orchestrator/ssh_connection.h"
#include "orchestrator/ssh_host.h"

TAILQ_HEAD(ssh_leases, ssh_lease);

/* A connection and who uses it. */
struct ssh_link {
	TAILQ_ENTRY(ssh_link) entry;
	struct ssh_site *site;
	struct ssh_connection *connection;
	struct ssh_leases leases;
	unsigned int n, limit; /* leases */
	uint64_t idle_ms;      /* since when n is 0 */
	bool dead;
};
TAILQ_HEAD(ssh_links, ssh_link);

/* A host and the connections to it. */
struct ssh_site {
	TAILQ_ENTRY(ssh_site) entry;
	struct ssh_pool *pool;
	struct ssh_host *host;
	struct ssh_links links;
	struct ssh_leases waiting;
	struct event *turn; /* gives out, opens, closes, reaps */
	unsigned int failures;
	uint64_t not_before_ms;
};
TAILQ_HEAD(ssh_sites, ssh_site);

struct ssh_pool {
	struct event_base *base;
	const struct ssh_keyring *keys;
	const struct ssh_bundle *bundle;
	struct ssh_sites sites;
};

static void ssh_site_turn(struct ssh_site *site, uint64_t ms)
{
	const struct timeval tv = clock_timeval(ms);

	evtimer_add(site->turn, &tv);
}

/* --- leases --------------------------------------------------------------- */

static void ssh_lease_detach(struct ssh_lease *lease)
{
	struct ssh_link *link = lease->link;

	if (link) {
		TAILQ_REMOVE(&link->leases, lease, entry);
		if (!--link->n)
			link->idle_ms = clock_mono_ms();
	} else {
		TAILQ_REMOVE(&lease->site->waiting, lease, entry);
	}
	lease->link = NULL;
}

static void ssh_lease_break(struct ssh_lease *lease, const char *reason)
{
	ssh_lease_detach(lease);
	lease->site = NULL;
	lease->ops->on_broken(lease->ctx, reason);
}

/* One at a time from the front: a callback may end others. */
static void ssh_leases_break(struct ssh_leases *leases, const char *reason)
{
	struct ssh_lease *lease;

	while ((lease = TAILQ_FIRST(leases)))
		ssh_lease_break(lease, reason);
}

static void ssh_lease_attach(struct ssh_lease *lease, struct ssh_link *link)
{
	ssh_lease_detach(lease);
	lease->link = link;
	link->n++;
	TAILQ_INSERT_TAIL(&link->leases, lease, entry);
	lease->ops->on_ready(lease->ctx, link->connection);
}

/* --- connections ---------------------------------------------------------- */

static unsigned int ssh_site_connecting(const struct ssh_site *site)
{
	const struct ssh_link *link;
	unsigned int n = 0;

	TAILQ_FOREACH(link, &site->links, entry)
		n += !link->dead && !ssh_connection_is_ready(link->connection);
	return n;
}

static void ssh_link_on_progress(void *ctx, const char *text)
{
	struct ssh_link *link = ctx;
	struct ssh_lease *lease;

	TAILQ_FOREACH(lease, &link->site->waiting, entry)
		lease->ops->on_progress(lease->ctx, text);
}

static void ssh_link_on_ready(void *ctx)
{
	struct ssh_link *link = ctx;

	log_info(link->site->host->name, "ssh: connected");
	link->site->failures = 0;
	link->idle_ms = clock_mono_ms();
	ssh_site_turn(link->site, 0);
}

static void ssh_site_back_off(struct ssh_site *site)
{
	uint64_t ms = SSH_POOL_BACKOFF_MIN_MS;

	for (unsigned int i = 0; i < site->failures; i++)
		ms = MIN(ms * 2, SSH_POOL_BACKOFF_MAX_MS);
	site->failures++;
	site->not_before_ms = clock_mono_ms() + ms;
}

static void ssh_link_on_broken(void *ctx, const char *reason)
{
	struct ssh_link *link = ctx;
	struct ssh_site *site = link->site;

	log_warn(site->host->name, "ssh: %s", reason);
	link->dead = true;
	ssh_site_back_off(site);
	ssh_leases_break(&link->leases, reason);
	/* Those that wait would meet the same end. */
	if (!ssh_site_connecting(site))
		ssh_leases_break(&site->waiting, reason);
	ssh_site_turn(site, 0);
}

static void ssh_link_free(struct ssh_link *link)
{
	TAILQ_REMOVE(&link->site->links, link, entry);
	ssh_connection_free(link->connection);
	free(link);
}

static int ssh_link_new(struct ssh_site *site)
{
	static const struct ssh_connection_ops ops = {
		.on_progress = ssh_link_on_progress,
		.on_ready = ssh_link_on_ready,
		.on_broken = ssh_link_on_broken,
	};
	const struct ssh_connection_config config = {
		.base = site->pool->base,
		.host = site->host,
		.keys = site->pool->keys,
		.bundle = site->pool->bundle,
	};
	struct ssh_link *link = calloc(1, sizeof(*link));
	int r;

	if (!link)
		return -ENOMEM;
	link->site = site;
	link->limit = SSH_POOL_SESSIONS_MAX;
	TAILQ_INIT(&link->leases);
	r = ssh_connection_new(&link->connection, &config, &ops, link);
	if (r < 0) {
		free(link);
		return r;
	}
	TAILQ_INSERT_TAIL(&site->links, link, entry);
	return 0;
}

/* --- a turn --------------------------------------------------------------- */

static struct ssh_link *ssh_site_find_room(struct ssh_site *site)
{
	struct ssh_link *link;

	TAILQ_FOREACH(link, &site->links, entry)
		if (!link->dead && link->n < link->limit &&
		    ssh_connection_is_ready(link->connection))
			return link;
	return NULL;
}

static void ssh_site_give_out(struct ssh_site *site)
{
	struct ssh_lease *lease;
	struct ssh_link *link;

	while ((lease = TAILQ_FIRST(&site->waiting)) &&
	       (link = ssh_site_find_room(site)))
		ssh_lease_attach(lease, link);
}

static bool ssh_site_wants_more(const struct ssh_site *site)
{
	unsigned int connecting = ssh_site_connecting(site), links = 0, n = 0;
	const struct ssh_lease *lease;
	const struct ssh_link *link;

	TAILQ_FOREACH(lease, &site->waiting, entry)
		n++;
	TAILQ_FOREACH(link, &site->links, entry)
		links++;
	return n > connecting * SSH_POOL_SESSIONS_MAX &&
	       connecting < SSH_POOL_CONNECTING_MAX &&
	       links < SSH_POOL_CONNECTIONS_MAX;
}

/* Returns when there is something to do again; 0: when something happens. */
static uint64_t ssh_site_open_more(struct ssh_site *site, uint64_t now)
{
	while (ssh_site_wants_more(site)) {
		if (now < site->not_before_ms)
			return site->not_before_ms - now;
		if (ssh_link_new(site) < 0) {
			ssh_leases_break(&site->waiting, "out of memory");
			return 0;
		}
	}
	return 0;
}

static uint64_t ssh_site_close_idle(struct ssh_site *site, uint64_t now)
{
	struct ssh_link *link, *next;
	uint64_t again = 0;

	for (link = TAILQ_FIRST(&site->links); link; link = next) {
		next = TAILQ_NEXT(link, entry);
		if (!link->dead &&
		    (link->n || !ssh_connection_is_ready(link->connection)))
			continue;
		if (!link->dead && now - link->idle_ms < SSH_POOL_IDLE_MS) {
			again = SSH_POOL_IDLE_MS;
			continue;
		}
		if (!link->dead)
			log_info(site->host->name, "ssh: closed, unused");
		ssh_link_free(link);
	}
	return again;
}

static void ssh_site_free(struct ssh_site *site)
{
	struct ssh_link *link;

	while ((link = TAILQ_FIRST(&site->links)))
		ssh_link_free(link);
	TAILQ_REMOVE(&site->pool->sites, site, entry);
	if (site->turn)
		event_free(site->turn);
	free(site->host);
	free(site);
}

static void ssh_site_on_turn(int fd, short what, void *ctx)
{
	struct ssh_site *site = ctx;
	uint64_t now = clock_mono_ms(), idle, wait;

	ssh_site_give_out(site);
	wait = ssh_site_open_more(site, now);
	idle = ssh_site_close_idle(site, now);
	if (!wait || (idle && idle < wait))
		wait = idle;
	/* Until then it is remembered that the host refuses. */
	if (!wait && TAILQ_EMPTY(&site->links) && now < site->not_before_ms)
		wait = site->not_before_ms - now + SSH_POOL_BACKOFF_MAX_MS;
	if (wait)
		ssh_site_turn(site, wait);
	else if (TAILQ_EMPTY(&site->links) && TAILQ_EMPTY(&site->waiting))
		ssh_site_free(site);
}

/* --- life ----------------------------------------------------------------- */

int ssh_pool_new(struct ssh_pool **out, struct event_base *base,
		 const struct ssh_keyring *keys,
		 const struct ssh_bundle *bundle)
{
	struct ssh_pool *pool = calloc(1, sizeof(*pool));

	*out = pool;
	if (!pool)
		return -ENOMEM;
	pool->base = base;
	pool->keys = keys;
	pool->bundle = bundle;
	TAILQ_INIT(&pool->sites);
	return 0;
}

void ssh_pool_free(struct ssh_pool *pool)
{
	struct ssh_site *site;

	if (!pool)
		return;
	while ((site = TAILQ_FIRST(&pool->sites)))
		ssh_site_free(site);
	free(pool);
}

static struct ssh_site *ssh_site_new(struct ssh_pool *pool,
				     const struct ssh_host *host)
{
	struct ssh_site *site = calloc(1, sizeof(*site));

	if (!site)
		return NULL;
	site->pool = pool;
	TAILQ_INIT(&site->links);
	TAILQ_INIT(&site->waiting);
	TAILQ_INSERT_TAIL(&pool->sites, site, entry);
	site->host = ssh_host_dup(host);
	site->turn = evtimer_new(pool->base, ssh_site_on_turn, site);
	if (site->host && site->turn)
		return site;
	ssh_site_free(site);
	return NULL;
}

int ssh_pool_acquire(struct ssh_pool *pool, const struct ssh_host *host,
		     struct ssh_lease *lease)
{
	struct ssh_site *site;

	TAILQ_FOREACH(site, &pool->sites, entry)
		if (ssh_host_same(site->host, host))
			break;
	if (!site)
		site = ssh_site_new(pool, host);
	if (!site)
		return -ENOMEM;
	lease->site = site;
	lease->link = NULL;
	TAILQ_INSERT_TAIL(&site->waiting, lease, entry);
	ssh_site_turn(site, 0);
	return 0;
}

void ssh_pool_refused(struct ssh_lease *lease)
{
	struct ssh_site *site = lease->site;
	struct ssh_link *link = lease->link;

	if (!link)
		return;
	if (link->n <= 1) {
		ssh_lease_break(lease,
				"the host opens no session for a command: see "
				"MaxSessions and ForceCommand of its sshd");
		return;
	}
	link->limit = link->n - 1;
	ssh_lease_detach(lease);
	TAILQ_INSERT_HEAD(&site->waiting, lease, entry);
	ssh_site_turn(site, 0);
}

void ssh_pool_release(struct ssh_lease *lease)
{
	if (!lease->site)
		return;
	ssh_lease_detach(lease);
	ssh_site_turn(lease->site, 0);
	lease->site = NULL;
}
