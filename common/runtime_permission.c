/* The items of the permissions' lists. */
#include <arpa/inet.h>
#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "common/json.h"
#include "common/options.h"
#include "common/runtime_config_impl.h"

#define RUNTIME_HOST_MAX_BYTES 253
#define RUNTIME_LABEL_MAX_BYTES 63
#define RUNTIME_ENV_NAME_MAX_BYTES 255
#define RUNTIME_PORT_MAX 65535

#define NET_WRONG \
	"is not HOST, HOST:PORT, *.HOST, an IPv4 address or [IPv6]:PORT"

/* "" or ":PORT" in its shortest form. */
static bool net_port(const char *s, char *out)
{
	uint64_t port;

	*out = '\0';
	if (!*s)
		return true;
	if (*s != ':' || option_parse_uint(s + 1, &port) < 0 || !port ||
	    port > RUNTIME_PORT_MAX)
		return false;
	snprintf(out, sizeof(":65535"), ":%u", (unsigned int)port);
	return true;
}

static bool net_label_valid(const char *s, size_t len)
{
	if (!len || len > RUNTIME_LABEL_MAX_BYTES || s[0] == '-' ||
	    s[len - 1] == '-')
		return false;
	for (size_t i = 0; i < len; i++)
		if (!isalnum((unsigned char)s[i]) && s[i] != '-' && s[i] != '_')
			return false;
	return true;
}

/* A name that a resolver may take for an IPv4 address ("127.1", "0x7f.1") must
 * be one as everybody writes it. */
static bool net_host_valid(const char *host, bool wildcard)
{
	const char *last = strrchr(host, '.');
	struct in_addr ip;
	size_t len;

	last = last ? last + 1 : host;
	if (strlen(host) > RUNTIME_HOST_MAX_BYTES)
		return false;
	if (last[strspn(last, "0123456789")] == '\0' || !strncmp(last, "0x", 2))
		return !wildcard && inet_pton(AF_INET, host, &ip) == 1;
	for (;; host += len + 1) {
		len = strcspn(host, ".");
		if (!net_label_valid(host, len))
			return false;
		if (!host[len])
			return true;
	}
}

static const char *net_ipv6(const char *s, char *out)
{
	char text[INET6_ADDRSTRLEN];
	struct in6_addr ip;
	size_t len = strcspn(s, "]");

	if (!s[len] || len >= sizeof(text))
		return NET_WRONG;
	memcpy(text, s, len);
	text[len] = '\0';
	if (inet_pton(AF_INET6, text, &ip) != 1)
		return NET_WRONG;
	inet_ntop(AF_INET6, &ip, text, sizeof(text));
	len = (size_t)sprintf(out, "[%s]", text);
	return net_port(strchr(s, ']') + 1, out + len) ? NULL : NET_WRONG;
}

const char *runtime_normal_net(const struct runtime_config_options *o,
			       const char *item, char *out)
{
	bool wildcard = !strncmp(item, "*.", 2);
	size_t len = strcspn(item, ":");
	char *host = wildcard ? out + 2 : out;

	(void)o;
	if (*item == '[')
		return net_ipv6(item + 1, out);
	for (size_t i = 0; i < len; i++)
		out[i] = (char)tolower((unsigned char)item[i]);
	if (len && out[len - 1] == '.') /* the root's */
		out[len - 1] = '\0';
	out[len] = '\0';
	if (!net_host_valid(host, wildcard))
		return NET_WRONG;
	return net_port(item + len, out + strlen(out)) ? NULL : NET_WRONG;
}

/* "/a//b/./c/" is "/a/b/c". */
const char *runtime_normal_path(const struct runtime_config_options *o,
				const char *item, char *out)
{
	size_t len, n = 0;

	(void)o;
	if (*item != '/')
		return "is not an absolute path";
	if (!json_utf8_valid(item, strlen(item)))
		return "is not UTF-8";
	for (const char *s = item; *s; s++)
		if ((unsigned char)*s < 0x20 || *s == 0x7f)
			return "has control characters";
	for (const char *s = item; *s; s += len) {
		s += strspn(s, "/");
		len = strcspn(s, "/");
		if (len == 2 && !strncmp(s, "..", 2))
			return "has \"..\" in it";
		if (!len || (len == 1 && *s == '.'))
			continue;
		out[n++] = '/';
		memcpy(out + n, s, len);
		n += len;
	}
	if (!n)
		out[n++] = '/';
	out[n] = '\0';
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
