#include "orchestrator/egress.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "common/net_host.h"
#include "common/runtime_config.h"

#define EGRESS_TARGET_BYTES (NET_HOST_BYTES + sizeof(" 65535"))

struct egress_rule {
	char host[NET_HOST_BYTES];
	bool below;    /* *.host */
	uint16_t port; /* 0: 80 and 443 */
};

struct egress {
	bool all;
	struct egress_rule rules[EGRESS_RULES_MAX];
	size_t n_rules;
	char *notes[EGRESS_NOTICES_MAX]; /* "HOST PORT" */
	size_t n_notes;
};

bool egress_wanted(const struct runtime_allow *net)
{
	return net->all || (net->items && net->items[0]);
}

static int egress_add(struct egress *e, const char *text)
{
	struct egress_rule *rule = &e->rules[e->n_rules];
	enum net_host_kind kind;
	int r;

	if (e->n_rules == EGRESS_RULES_MAX)
		return -EINVAL;
	*rule = (struct egress_rule){ .below = !strncmp(text, "*.", 2) };
	if (rule->below)
		text += 2;
	r = net_host_split(text, strlen(text), rule->host, &kind, &rule->port);
	if (r < 0 || (rule->below && kind != NET_HOST_NAME))
		return -EINVAL;
	e->n_rules++;
	return 0;
}

int egress_new(struct egress **out, const struct runtime_allow *net)
{
	_cleanup_(egress_freep) struct egress *e = calloc(1, sizeof(*e));
	int r;

	if (!e)
		return -ENOMEM;
	e->all = net && net->all;
	for (size_t i = 0; net && net->items && net->items[i]; i++) {
		r = egress_add(e, net->items[i]);
		if (r < 0)
			return r;
	}
	*out = e;
	e = NULL;
	return 0;
}

void egress_free(struct egress *e)
{
	if (!e)
		return;
	for (size_t i = 0; i < e->n_notes; i++)
		free(e->notes[i]);
	free(e);
}

static bool egress_rule_matches(const struct egress_rule *rule,
				const char *host, uint16_t port)
{
	size_t n = strlen(host), m = strlen(rule->host);

	if (rule->port ? port != rule->port : port != 80 && port != 443)
		return false;
	if (!rule->below)
		return !strcmp(host, rule->host);
	return n > m + 1 && host[n - m - 1] == '.' &&
	       !strcmp(host + n - m, rule->host);
}

bool egress_permits(const struct egress *e, const char *host, uint16_t port)
{
	if (e->all)
		return true;
	for (size_t i = 0; i < e->n_rules; i++)
		if (egress_rule_matches(&e->rules[i], host, port))
			return true;
	return false;
}

bool egress_note(struct egress *e, const char *host, uint16_t port, bool *last)
{
	char target[EGRESS_TARGET_BYTES];

	if (e->n_notes == EGRESS_NOTICES_MAX)
		return false;
	snprintf(target, sizeof(target), "%s %u", host, port);
	for (size_t i = 0; i < e->n_notes; i++)
		if (!strcmp(e->notes[i], target))
			return false;
	e->notes[e->n_notes] = strdup(target);
	if (!e->notes[e->n_notes])
		return false;
	*last = ++e->n_notes == EGRESS_NOTICES_MAX;
	return true;
}
