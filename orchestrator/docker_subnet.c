#include "orchestrator/docker_subnet.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#define DOCKER_SUBNET_POOL_PREFIX_MIN 8

struct docker_subnets {
	uint32_t base; /* host byte order */
	uint32_t n;
	bool *taken;
};

/* "A.B.C.D/P" with no bits set behind the prefix. */
static int docker_subnets_parse(const char *pool, uint32_t *base,
				unsigned int *prefix)
{
	struct in_addr addr;
	char host[INET_ADDRSTRLEN];
	const char *slash = strchr(pool, '/');
	char end;

	if (!slash || (size_t)(slash - pool) >= sizeof(host) ||
	    sscanf(slash + 1, "%2u%c", prefix, &end) != 1)
		return -EINVAL;
	snprintf(host, sizeof(host), "%.*s", (int)(slash - pool), pool);
	if (inet_pton(AF_INET, host, &addr) != 1 ||
	    *prefix < DOCKER_SUBNET_POOL_PREFIX_MIN ||
	    *prefix > DOCKER_SUBNET_PREFIX)
		return -EINVAL;
	*base = ntohl(addr.s_addr);
	return *base & (UINT32_MAX >> *prefix) ? -EINVAL : 0;
}

int docker_subnets_new(struct docker_subnets **out, const char *pool)
{
	struct docker_subnets *s;
	unsigned int prefix;
	uint32_t base;

	if (docker_subnets_parse(pool, &base, &prefix) < 0)
		return -EINVAL;
	s = calloc(1, sizeof(*s));
	if (!s)
		return -ENOMEM;
	s->base = base;
	s->n = 1U << (DOCKER_SUBNET_PREFIX - prefix);
	s->taken = calloc(s->n, sizeof(*s->taken));
	if (!s->taken) {
		free(s);
		return -ENOMEM;
	}
	*out = s;
	return 0;
}

void docker_subnets_free(struct docker_subnets *s)
{
	if (!s)
		return;
	free(s->taken);
	free(s);
}

int64_t docker_subnets_take(struct docker_subnets *s, uint32_t random,
			    char text[DOCKER_SUBNET_TEXT_BYTES])
{
	for (uint32_t tried = 0; tried < s->n; tried++) {
		uint32_t i = (random % s->n + tried) % s->n;
		struct in_addr addr;
		char host[INET_ADDRSTRLEN];

		if (s->taken[i])
			continue;
		s->taken[i] = true;
		addr.s_addr = htonl(s->base + (i << 3));
		inet_ntop(AF_INET, &addr, host, sizeof(host));
		snprintf(text, DOCKER_SUBNET_TEXT_BYTES, "%.15s/%d", host,
			 DOCKER_SUBNET_PREFIX);
		return i;
	}
	return -ENOSPC;
}

void docker_subnets_give(struct docker_subnets *s, int64_t index)
{
	if (index >= 0)
		s->taken[index] = false;
}
