#include "runner/pod_net.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/ipv6.h>
#include <net/if.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#define POD_NET_BACKLOG 128
#define POD_NET_PREFIX_6 128

int pod_net_up(void)
{
	struct ifreq request = { .ifr_name = "lo", .ifr_flags = IFF_UP };
	_cleanup_close_ int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	if (fd < 0 || ioctl(fd, SIOCSIFFLAGS, &request) < 0)
		return -errno;
	return 0;
}

/* An alias of lo, named by its address, with no network around it. */
static int pod_net_add_4(const struct sockaddr_in *address)
{
	struct ifreq request = { 0 };
	struct sockaddr_in mask = {
		.sin_family = AF_INET,
		.sin_addr.s_addr = INADDR_BROADCAST,
	};
	_cleanup_close_ int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	snprintf(request.ifr_name, sizeof(request.ifr_name), "lo:%08x",
		 ntohl(address->sin_addr.s_addr));
	memcpy(&request.ifr_addr, address, sizeof(*address));
	if (fd < 0 || ioctl(fd, SIOCSIFADDR, &request) < 0)
		return -errno;
	memcpy(&request.ifr_netmask, &mask, sizeof(mask));
	return ioctl(fd, SIOCSIFNETMASK, &request) < 0 ? -errno : 0;
}

static int pod_net_add_6(const struct sockaddr_in6 *address)
{
	struct in6_ifreq request = {
		.ifr6_addr = address->sin6_addr,
		.ifr6_prefixlen = POD_NET_PREFIX_6,
		.ifr6_ifindex = (int)if_nametoindex("lo"),
	};
	_cleanup_close_ int fd = socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	if (fd < 0 || ioctl(fd, SIOCSIFADDR, &request) < 0)
		return -errno;
	return 0;
}

static bool pod_net_is_loopback(const union door_address *a)
{
	if (a->any.sa_family == AF_INET6)
		return IN6_IS_ADDR_LOOPBACK(&a->in6.sin6_addr);
	return ntohl(a->in.sin_addr.s_addr) >> 24 == IN_LOOPBACKNET;
}

static int pod_net_add(const union door_address *a)
{
	int r;

	if (pod_net_is_loopback(a))
		return 0;
	r = a->any.sa_family == AF_INET6 ? pod_net_add_6(&a->in6)
					 : pod_net_add_4(&a->in);
	return r == -EEXIST ? 0 : r;
}

int pod_net_listen(const union door_address *address)
{
	int on = 1, r = pod_net_add(address), fd;

	if (r < 0)
		return r;
	fd = socket(address->any.sa_family,
		    SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return -errno;
	/* A new address of IPv6 is tentative for a moment, even on lo. */
	if (address->any.sa_family == AF_INET6)
		(void)setsockopt(fd, SOL_IPV6, IPV6_FREEBIND, &on, sizeof(on));
	if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) < 0 ||
	    bind(fd, &address->any, door_address_len(address)) < 0 ||
	    listen(fd, POD_NET_BACKLOG) < 0) {
		r = -errno;
		close(fd);
		return r;
	}
	return fd;
}
