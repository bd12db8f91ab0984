#include "sidecar/budget.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <uthash.h>

struct budget {
	UT_hash_handle hh;
	TAILQ_ENTRY(budget) link; /* who was charged longest ago comes first */
	uint8_t network[HTTP_NETWORK_BYTES];
	struct rate rate;
};

struct budget_table {
	struct budget *by_network;
	TAILQ_HEAD(, budget) all;
	size_t n;
};

int budget_table_new(struct budget_table **out)
{
	struct budget_table *t = calloc(1, sizeof(*t));

	if (!t)
		return -ENOMEM;
	TAILQ_INIT(&t->all);
	*out = t;
	return 0;
}

static void budget_free(struct budget_table *t, struct budget *b)
{
	HASH_DEL(t->by_network, b);
	TAILQ_REMOVE(&t->all, b, link);
	t->n--;
	free(b);
}

void budget_table_free(struct budget_table *t)
{
	if (!t)
		return;
	while (!TAILQ_EMPTY(&t->all))
		budget_free(t, TAILQ_FIRST(&t->all));
	free(t);
}

static struct budget *find(const struct budget_table *t,
			   const uint8_t network[HTTP_NETWORK_BYTES])
{
	struct budget *b;

	HASH_FIND(hh, t->by_network, network, HTTP_NETWORK_BYTES, b);
	return b;
}

static struct budget *create(struct budget_table *t,
			     const uint8_t network[HTTP_NETWORK_BYTES],
			     uint64_t now_ms)
{
	static const struct rate_limit limit = {
		.per_min = BUDGET_PER_MIN,
		.burst = BUDGET_BURST,
	};
	struct budget *b = calloc(1, sizeof(*b));

	if (!b)
		return NULL;
	memcpy(b->network, network, sizeof(b->network));
	rate_init(&b->rate, &limit, now_ms);
	HASH_ADD(hh, t->by_network, network, HTTP_NETWORK_BYTES, b);
	if (!b->hh.tbl) {
		free(b);
		return NULL;
	}
	TAILQ_INSERT_TAIL(&t->all, b, link);
	if (++t->n > BUDGET_NETWORKS_MAX)
		budget_free(t, TAILQ_FIRST(&t->all));
	return b;
}

uint64_t budget_look(struct budget_table *t,
		     const uint8_t network[HTTP_NETWORK_BYTES], uint64_t now_ms)
{
	const struct budget *b = find(t, network);
	struct rate copy;

	if (!b)
		return 0;
	copy = b->rate;
	return rate_take(&copy, now_ms);
}

void budget_charge(struct budget_table *t,
		   const uint8_t network[HTTP_NETWORK_BYTES], uint64_t now_ms)
{
	struct budget *b = find(t, network);

	if (!b)
		b = create(t, network, now_ms);
	if (!b)
		return;
	rate_take(&b->rate, now_ms);
	TAILQ_REMOVE(&t->all, b, link);
	TAILQ_INSERT_TAIL(&t->all, b, link);
}
