#include "backend-client/endpoint.h"

#include <errno.h>
#include <string.h>
#include <sys/un.h>

#define ENDPOINT_HOST_MAX_BYTES 253

static int endpoint_parse_unix(struct endpoint *out, const char *path)
{
	size_t len = strlen(path);

	if (path[0] != '/' ||
	    len >= sizeof(((struct sockaddr_un *)NULL)->sun_path))
		return -EINVAL;
	out->kind = ENDPOINT_UNIX;
	out->host = strdup(path);
	out->authority = strdup("localhost");
	return out->host && out->authority ? 0 : -ENOMEM;
}

static int endpoint_parse_port(const char *s, size_t n, uint16_t *port)
{
	uint32_t v = 0;

	if (!n || n > 5)
		return -EINVAL;
	for (size_t i = 0; i < n; i++) {
		if (s[i] < '0' || s[i] > '9')
			return -EINVAL;
		v = v * 10 + (uint32_t)(s[i] - '0');
	}
	if (!v || v > UINT16_MAX)
		return -EINVAL;
	*port = (uint16_t)v;
	return 0;
}

/* The end of the host in "host:port", "[v6]:port" or "host". */
static const char *endpoint_host_end(const char *s, size_t n)
{
	const char *end;

	if (s[0] == '[') {
		end = memchr(s, ']', n);
		return end ? end + 1 : NULL;
	}
	end = memchr(s, ':', n);
	return end ? end : s + n;
}

static int endpoint_parse_host(struct endpoint *out, const char *s)
{
	size_t n = strcspn(s, "/?#"), host_len;
	const char *end = n ? endpoint_host_end(s, n) : NULL;

	if (!end || end == s || strchr("?#", s[n] ? s[n] : ' ') ||
	    (s[n] == '/' && s[n + 1]))
		return -EINVAL;
	if (end < s + n &&
	    (*end != ':' ||
	     endpoint_parse_port(end + 1, n - (size_t)(end + 1 - s),
				 &out->port) < 0))
		return -EINVAL;
	host_len = (size_t)(end - s);
	if (host_len > ENDPOINT_HOST_MAX_BYTES || memchr(s, '@', n) ||
	    memchr(s, ' ', n))
		return -EINVAL;
	out->authority = strndup(s, n);
	out->host = s[0] == '[' ? strndup(s + 1, host_len - 2)
				: strndup(s, host_len);
	return out->host && out->authority ? 0 : -ENOMEM;
}

int endpoint_parse(struct endpoint *out, const char *text)
{
	int r;

	*out = (struct endpoint){ 0 };
	if (!strncmp(text, "unix:", 5)) {
		r = endpoint_parse_unix(out, text + 5);
	} else if (!strncmp(text, "http://", 7)) {
		*out = (struct endpoint){ .kind = ENDPOINT_TCP, .port = 80 };
		r = endpoint_parse_host(out, text + 7);
	} else if (!strncmp(text, "https://", 8)) {
		*out = (struct endpoint){ .kind = ENDPOINT_TLS, .port = 443 };
		r = endpoint_parse_host(out, text + 8);
	} else {
		r = -EINVAL;
	}
	if (r < 0)
		endpoint_deinit(out);
	return r;
}

void endpoint_deinit(struct endpoint *e)
{
	free(e->host);
	free(e->authority);
	*e = (struct endpoint){ 0 };
}

static int endpoint_list_add(struct endpoint_list *l, const char *item,
			     size_t len, bool alone)
{
	char text[ENDPOINTS_MAX_BYTES];
	struct endpoint *e = &l->items[l->n];
	int r;

	if (l->n == ENDPOINTS_MAX || len >= sizeof(text))
		return -EINVAL;
	memcpy(text, item, len);
	text[len] = '\0';
	r = endpoint_parse(e, text);
	if (r < 0)
		return r;
	l->n++;
	return alone || e->kind != ENDPOINT_UNIX ? 0 : -EINVAL;
}

int endpoint_list_parse(struct endpoint_list *out, const char *text)
{
	bool alone = !strchr(text, ',');
	int r = 0;

	*out = (struct endpoint_list){ .n = 0 };
	/* A path may have a comma. */
	if (!strncmp(text, "unix:", 5))
		return endpoint_list_add(out, text, strlen(text), true);
	while (r == 0 && text) {
		const char *comma = strchrnul(text, ',');

		r = endpoint_list_add(out, text, (size_t)(comma - text), alone);
		text = *comma ? comma + 1 : NULL;
	}
	if (r < 0)
		endpoint_list_deinit(out);
	return r;
}

void endpoint_list_deinit(struct endpoint_list *l)
{
	for (size_t i = 0; i < l->n; i++)
		endpoint_deinit(&l->items[i]);
	l->n = 0;
}

bool endpoint_list_has_tls(const struct endpoint_list *l)
{
	for (size_t i = 0; i < l->n; i++)
		if (l->items[i].kind == ENDPOINT_TLS)
			return true;
	return false;
}

const char *endpoint_scheme(const struct endpoint *e)
{
	return e->kind == ENDPOINT_TLS ? "https" : "http";
}
