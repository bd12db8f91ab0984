#include "runner/doors.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "common/options.h"
#include "runner/lookup.h"

#define DOORS_LOOPBACK 0x7f000001U /* 127.0.0.1; names get the ones behind */

socklen_t door_address_len(const union door_address *a)
{
	return a->any.sa_family == AF_INET6 ? sizeof(a->in6) : sizeof(a->in);
}

int door_address_parse(union door_address *a, const char *literal,
		       uint16_t port)
{
	*a = (union door_address){ 0 };
	if (inet_pton(AF_INET, literal, &a->in.sin_addr) == 1) {
		a->in.sin_family = AF_INET;
		a->in.sin_port = htons(port);
		return 0;
	}
	if (inet_pton(AF_INET6, literal, &a->in6.sin6_addr) == 1) {
		a->in6.sin6_family = AF_INET6;
		a->in6.sin6_port = htons(port);
		return 0;
	}
	return -EINVAL;
}

/* A name of DNS, or a literal: what may stand in /etc/hosts or be asked for. */
static bool doors_is_host(const char *s, size_t len)
{
	static const char good[] = "abcdefghijklmnopqrstuvwxyz"
				   "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
				   "0123456789.-_:";

	return len && len <= DOORS_HOST_MAX_BYTES && s[0] != '-' &&
	       strspn(s, good) >= len;
}

/* HOST:PORT or [ADDRESS]:PORT */
static int doors_parse_to(struct door *d, const char *to)
{
	const char *colon = strrchr(to, ':');
	size_t len = colon ? (size_t)(colon - to) : 0;
	uint64_t port;

	if (!colon || option_parse_uint(colon + 1, &port) < 0 || !port ||
	    port > UINT16_MAX)
		return -EINVAL;
	if (len > 2 && to[0] == '[' && to[len - 1] == ']') {
		to++;
		len -= 2;
	}
	if (!doors_is_host(to, len))
		return -EINVAL;
	memcpy(d->to_host, to, len);
	d->to_port = (uint16_t)port;
	return 0;
}

/* Each name has an address of its own, so that two may have the same port. */
static void doors_place(struct doors *d, struct door *door, uint16_t port)
{
	uint32_t address = DOORS_LOOPBACK;

	if (!door_address_parse(&door->listen, door->name, port))
		return;
	if (strcasecmp(door->name, "localhost") != 0) {
		size_t i = 0;

		while (strcasecmp(d->items[i].name, door->name))
			i++;
		address += 1 + (uint32_t)i;
	}
	door->listen.in.sin_family = AF_INET;
	door->listen.in.sin_port = htons(port);
	door->listen.in.sin_addr.s_addr = htonl(address);
}

static int doors_parse_one(struct doors *d, const json_t *o)
{
	struct door *door = &d->items[d->n];
	const char *name = json_get_str(o, "name", "");
	int64_t port = json_get_int(o, "port", 0);

	*door = (struct door){ 0 };
	if (port <= 0 || port > UINT16_MAX ||
	    !doors_is_host(name, strlen(name)) ||
	    doors_parse_to(door, json_get_str(o, "to", "")) < 0)
		return -EINVAL;
	snprintf(door->name, sizeof(door->name), "%s", name);
	doors_place(d, door, (uint16_t)port);
	d->n++;
	return 0;
}

int doors_parse(struct doors *d, const json_t *list, char *err, size_t err_size)
{
	size_t n = json_array_size(list);

	d->n = 0;
	if (list && (!json_is_array(list) || n > DOORS_MAX)) {
		snprintf(err, err_size,
			 "ASSIGN has no valid doors: an array of at most %d",
			 DOORS_MAX);
		return -EINVAL;
	}
	for (size_t i = 0; i < n; i++) {
		if (!doors_parse_one(d, json_array_get(list, i)))
			continue;
		snprintf(err, err_size,
			 "ASSIGN has no valid door %zu: it needs name, port "
			 "and to (HOST:PORT)",
			 i);
		return -EINVAL;
	}
	return 0;
}

static int doors_resolve_one(struct door *d, char *err, size_t err_size)
{
	char text[DOORS_ADDRESSES_MAX][LOOKUP_ADDRESS_BYTES];
	size_t n = 0;
	int r;

	d->n_to = 0;
	if (!door_address_parse(&d->to[0], d->to_host, d->to_port)) {
		d->n_to = 1;
		return 0;
	}
	r = lookup(d->to_host, text, ARRAY_SIZE(text), &n);
	for (size_t i = 0; i < n; i++) {
		if (!door_address_parse(&d->to[d->n_to], text[i], d->to_port))
			d->n_to++;
	}
	if (d->n_to)
		return 0;
	snprintf(err, err_size,
		 "this host knows no address of %s (getent ahosts %s)%s%s: see "
		 "that its name can be looked up here",
		 d->to_host, d->to_host, r < 0 ? ": " : "",
		 r < 0 ? strerror(-r) : "");
	return r < 0 ? r : -ENOENT;
}

int doors_resolve(struct doors *d, char *err, size_t err_size)
{
	int r = 0;

	for (size_t i = 0; !r && i < d->n; i++)
		r = doors_resolve_one(&d->items[i], err, err_size);
	return r;
}

int doors_append_hosts(const struct doors *d, struct buf *out)
{
	char text[INET6_ADDRSTRLEN];
	union door_address literal;
	int r = buf_append_str(out, "127.0.0.1 localhost\n::1 localhost\n");

	for (size_t i = 0; !r && i < d->n; i++) {
		const struct door *door = &d->items[i];

		if (!door_address_parse(&literal, door->name, 0) ||
		    !strcasecmp(door->name, "localhost"))
			continue;
		inet_ntop(AF_INET, &door->listen.in.sin_addr, text,
			  sizeof(text));
		r = buf_printf(out, "%s %s\n", text, door->name);
	}
	return r;
}
