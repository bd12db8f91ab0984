#include "runner/confine.h"

#include <errno.h>
#include <sched.h>
#include <stdint.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>

#include "runner/filter.h"

#if defined(__x86_64__)
#define CONFINE_SOCKET_32 359
#elif defined(__aarch64__)
#define CONFINE_SOCKET_32 281
#endif

#define CONFINE_SOCKETCALL_32 102
#define CONFINE_SOCKET_TYPE 0xfU /* the rest are flags */

static int confine_load(const struct sock_filter *code, size_t n)
{
	const struct sock_fprog program = {
		.len = (unsigned short)n,
		.filter = (struct sock_filter *)(uintptr_t)code,
	};

	if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) < 0)
		return -errno;
	return 0;
}

int confine(void)
{
	/* The first argument's upper half is not looked at: the kernel takes
	 * the family as an int. socketcall(SOCKET, …) hides it in memory; who
	 * calls that has socket() as well. */
	static const struct sock_filter code[] = {
		/* What goes through a ring, sockets too, passes no filter. It
		 * has this number in every table. */
		FILTER_LOAD(nr),
		FILTER_MASK(~FILTER_OTHER_ABI),
		FILTER_JUMP_IF(SYS_io_uring_setup, 0, 1),
		FILTER_REFUSE(ENOSYS),
		FILTER_LOAD(arch),
		FILTER_JUMP_IF(FILTER_ARCH, 0, 3),
		FILTER_LOAD(nr),
		FILTER_MASK(~FILTER_OTHER_ABI),
		FILTER_JUMP_IF(SYS_socket, 4, 8),
		FILTER_JUMP_IF(FILTER_ARCH_32, 0, 7),
		FILTER_LOAD(nr),
		FILTER_JUMP_IF(CONFINE_SOCKETCALL_32, 3, 0),
		FILTER_JUMP_IF(CONFINE_SOCKET_32, 0, 4),
		FILTER_LOAD(args[0]),
		FILTER_JUMP_IF(AF_VSOCK, 3, 2),
		FILTER_LOAD(args[0]),
		FILTER_JUMP_IF(1, 2, 0), /* SYS_SOCKET */
		FILTER_RETURN(SECCOMP_RET_ALLOW),
		FILTER_REFUSE(EPERM),
		FILTER_REFUSE(ENOSYS),
	};

	return confine_load(code, ARRAY_SIZE(code));
}

/* Each pair ends the program where the call is this one. */
#define CONFINE_REFUSE(nr, error) FILTER_JUMP_IF(nr, 0, 1), FILTER_REFUSE(error)
#define CONFINE_NAMESPACES                                           \
	(CLONE_NEWNS | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWUSER | \
	 CLONE_NEWPID | CLONE_NEWNET | CLONE_NEWCGROUP)

static const struct sock_filter confine_host_code[] = {
	FILTER_LOAD(arch),
	FILTER_JUMP_IF(FILTER_ARCH, 1, 0),
	FILTER_REFUSE(ENOSYS),
	FILTER_LOAD(nr),
	FILTER_JUMP_IF_ANY(FILTER_OTHER_ABI, 0, 1),
	FILTER_REFUSE(ENOSYS),
	CONFINE_REFUSE(SYS_keyctl, EPERM),
	CONFINE_REFUSE(SYS_add_key, EPERM),
	CONFINE_REFUSE(SYS_request_key, EPERM),
	CONFINE_REFUSE(SYS_io_uring_setup, EPERM),
	CONFINE_REFUSE(SYS_setns, EPERM),
	CONFINE_REFUSE(SYS_bpf, EPERM),
	CONFINE_REFUSE(SYS_perf_event_open, EPERM),
	CONFINE_REFUSE(SYS_userfaultfd, EPERM),
	/* Its flags lie in memory: the C library falls back to clone. */
	CONFINE_REFUSE(SYS_clone3, ENOSYS),
	FILTER_JUMP_IF(SYS_clone, 1, 0),
	FILTER_JUMP_IF(SYS_unshare, 0, 4),
	FILTER_LOAD(args[0]),
	FILTER_JUMP_IF_ANY(CONFINE_NAMESPACES, 0, 1),
	FILTER_REFUSE(EPERM),
	FILTER_RETURN(SECCOMP_RET_ALLOW),
	FILTER_JUMP_IF(SYS_socket, 0, 4),
	FILTER_LOAD(args[0]),
	FILTER_JUMP_IF(AF_UNIX, 0, 1),
	FILTER_REFUSE(EPERM),
	FILTER_RETURN(SECCOMP_RET_ALLOW),
	/* A pair of datagram sockets could be connected elsewhere. */
	FILTER_JUMP_IF(SYS_socketpair, 0, 5),
	FILTER_LOAD(args[1]),
	FILTER_MASK(CONFINE_SOCKET_TYPE),
	FILTER_JUMP_IF(SOCK_STREAM, 2, 0),
	FILTER_JUMP_IF(SOCK_SEQPACKET, 1, 0),
	FILTER_REFUSE(EPERM),
	FILTER_JUMP_IF(SYS_ioctl, 0, 3),
	FILTER_LOAD(args[1]),
	FILTER_JUMP_IF(TIOCSTI, 0, 1),
	FILTER_REFUSE(EPERM),
	FILTER_RETURN(SECCOMP_RET_ALLOW),
};

int confine_on_host(void)
{
	return confine_load(confine_host_code, ARRAY_SIZE(confine_host_code));
}
