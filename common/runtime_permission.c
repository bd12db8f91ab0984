/* The items of the permissions' lists. */
#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "common/json.h"
#include "common/net_host.h"
#include "common/path.h"
#include "common/runtime_config_impl.h"

#define RUNTIME_ENV_NAME_MAX_BYTES 255

#define NET_WRONG \
	"is not HOST, HOST:PORT, *.HOST, an IPv4 address or [IPv6]:PORT"

/* In its normal form the host is as the egress proxy compares it. */
const char *runtime_normal_net(const struct runtime_config_options *o,
			       const char *item, char *out)
{
	bool wildcard = !strncmp(item, "*.", 2);
	char host[NET_HOST_BYTES];
	enum net_host_kind kind;
	uint16_t port = 0;

	(void)o;
	if (wildcard)
		item += 2;
	if (net_host_split(item, strlen(item), host, &kind, &port) ||
	    (wildcard && kind != NET_HOST_NAME))
		return NET_WRONG;
	if (kind == NET_HOST_IPV6)
		out += sprintf(out, "[%s]", host);
	else
		out += sprintf(out, "%s%s", wildcard ? "*." : "", host);
	if (port)
		sprintf(out, ":%u", port);
	return NULL;
}

/* "/a//b/./c/" is "/a/b/c". */
const char *runtime_normal_path(const struct runtime_config_options *o,
				const char *item, char *out)
{
	(void)o;
	if (*item != '/')
		return "is not an absolute path";
	if (!json_utf8_valid(item, strlen(item)))
		return "is not UTF-8";
	for (const char *s = item; *s; s++)
		if ((unsigned char)*s < 0x20 || *s == 0x7f)
			return "has control characters";
	if (path_climbs(item))
		return "has \"..\" in it";
	path_normal(item, out);
	return NULL;
}

bool runtime_env_name_valid(const char *s)
{
	size_t len = strlen(s);

	if (len > RUNTIME_ENV_NAME_MAX_BYTES ||
	    (!isalpha((unsigned char)*s) && *s != '_'))
		return false;
	for (; *s; s++)
		if (!isalnum((unsigned char)*s) && *s != '_')
			return false;
	return true;
}

const char *runtime_normal_env(const struct runtime_config_options *o,
			       const char *item, char *out)
{
	(void)o;
	if (!runtime_env_name_valid(item))
		return "is not a name of letters, digits and _";
	if (runtime_config_env_refused(item))
		return "would change what is loaded or run: no script gets it";
	memcpy(out, item, strlen(item) + 1);
	return NULL;
}
