#include "orchestrator/sandbox_net.h"

#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>

#define SANDBOX_NET_BACKLOG 512

uint64_t sandbox_net_namespaces(bool root)
{
	return root ? CLONE_NEWNET : CLONE_NEWNET | CLONE_NEWUSER;
}

static int sandbox_net_write(const char *path, const char *text)
{
	_cleanup_close_ int fd = open(path, O_WRONLY | O_CLOEXEC);

	if (fd < 0 || write(fd, text, strlen(text)) < 0)
		return -errno;
	return 0;
}

static int sandbox_net_write_maps(uid_t uid, gid_t gid)
{
	char text[64];
	int r;

	r = sandbox_net_write("/proc/self/setgroups", "deny");
	snprintf(text, sizeof(text), "%u %u 1", uid, uid);
	if (!r)
		r = sandbox_net_write("/proc/self/uid_map", text);
	snprintf(text, sizeof(text), "%u %u 1", gid, gid);
	if (!r)
		r = sandbox_net_write("/proc/self/gid_map", text);
	return r;
}

/* The orchestrator may not be dumped, and what cannot be dumped has a
 * /proc/self that is root's. */
int sandbox_net_map_ids(uid_t uid, gid_t gid)
{
	int dumpable = prctl(PR_GET_DUMPABLE), r;

	if (prctl(PR_SET_DUMPABLE, 1) < 0)
		return -errno;
	r = sandbox_net_write_maps(uid, gid);
	if (prctl(PR_SET_DUMPABLE, dumpable == 1) < 0 && !r)
		r = -errno;
	return r;
}

int sandbox_net_loopback_up(void)
{
	struct ifreq request = { .ifr_name = "lo", .ifr_flags = IFF_UP };
	_cleanup_close_ int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	if (fd < 0 || ioctl(fd, SIOCSIFFLAGS, &request) < 0)
		return -errno;
	return 0;
}

static int sandbox_net_bind(int family, const void *addr, socklen_t len)
{
	_cleanup_close_ int fd = -1;
	int off = 0, r;

	fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return -errno;
	if (family == AF_INET6 &&
	    setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof(off)) < 0)
		return -errno;
	if (bind(fd, addr, len) < 0 || listen(fd, SANDBOX_NET_BACKLOG) < 0)
		return -errno;
	r = fd;
	fd = -1;
	return r;
}

int sandbox_net_listen(uint16_t port)
{
	/* Every address of this namespace is loopback, so one socket for "any"
	 * serves both; a kernel without IPv6 has 127.0.0.1 only. */
	const struct sockaddr_in6 any = {
		.sin6_family = AF_INET6,
		.sin6_port = htons(port),
	};
	const struct sockaddr_in local = {
		.sin_family = AF_INET,
		.sin_port = htons(port),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK),
	};
	int r;

	r = sandbox_net_bind(AF_INET6, &any, sizeof(any));
	if (r < 0)
		r = sandbox_net_bind(AF_INET, &local, sizeof(local));
	return r;
}
