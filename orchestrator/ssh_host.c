#include "orchestrator/ssh_host.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "common/json.h"

#define SSH_HOST_PORT 22
#define SSH_HOST_TEXT_MAX_BYTES 255

/* One that a command line or a log can carry. */
static bool ssh_host_text_ok(const char *s)
{
	size_t n = s ? strlen(s) : 0;

	if (!n || n > SSH_HOST_TEXT_MAX_BYTES || *s == '-')
		return false;
	for (; *s; s++)
		if (*s <= ' ' || *s == 0x7f)
			return false;
	return true;
}

int ssh_host_parse(struct ssh_host *out, const json_t *o, char *err,
		   size_t err_size)
{
	int64_t port = json_get_int(o, "port", SSH_HOST_PORT);

	*out = (struct ssh_host){
		.name = json_get_str(o, "name", NULL),
		.user = json_get_str(o, "user", NULL),
		.address = json_get_str(o, "address", NULL),
		.host_key = json_get_str(o, "host_key", NULL),
		.direct = !strcmp(json_get_str(o, "mode", "tunnel"), "direct"),
		.read_only = json_get_bool(o, "read_only", false),
	};
	if (!ssh_host_text_ok(out->name) || !ssh_host_text_ok(out->user) ||
	    !ssh_host_text_ok(out->address) || port < 1 || port > UINT16_MAX) {
		snprintf(err, err_size,
			 "the host lacks a good name, user, address or port; "
			 "register it again ('cronium hosts add')");
		return -EINVAL;
	}
	out->port = (uint16_t)port;
	return 0;
}

static const char *ssh_host_put(char **at, const char *s)
{
	char *to = *at;

	if (!s)
		return NULL;
	*at = stpcpy(to, s) + 1;
	return to;
}

struct ssh_host *ssh_host_dup(const struct ssh_host *h)
{
	size_t n = strlen(h->name) + strlen(h->user) + strlen(h->address) + 3 +
		   (h->host_key ? strlen(h->host_key) + 1 : 0);
	struct ssh_host *copy = malloc(sizeof(*copy) + n);
	char *at;

	if (!copy)
		return NULL;
	*copy = *h;
	at = (char *)(copy + 1);
	copy->name = ssh_host_put(&at, h->name);
	copy->user = ssh_host_put(&at, h->user);
	copy->address = ssh_host_put(&at, h->address);
	copy->host_key = ssh_host_put(&at, h->host_key);
	return copy;
}

bool ssh_host_same(const struct ssh_host *a, const struct ssh_host *b)
{
	if (!a->host_key != !b->host_key ||
	    (a->host_key && strcmp(a->host_key, b->host_key) != 0))
		return false;
	return a->port == b->port && !strcmp(a->name, b->name) &&
	       !strcmp(a->user, b->user) && !strcmp(a->address, b->address);
}
