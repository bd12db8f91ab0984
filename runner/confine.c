#include "runner/confine.h"

#include <errno.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>

#if defined(__x86_64__)
#define CONFINE_ARCH AUDIT_ARCH_X86_64
#define CONFINE_OTHER_ABI 0x40000000U /* x32: the same calls, with this bit */
#define CONFINE_ARCH_32 AUDIT_ARCH_I386
#define CONFINE_SOCKET_32 359
#elif defined(__aarch64__)
#define CONFINE_ARCH AUDIT_ARCH_AARCH64
#define CONFINE_OTHER_ABI 0U
#define CONFINE_ARCH_32 AUDIT_ARCH_ARM
#define CONFINE_SOCKET_32 281
#else
#error "say here what this architecture calls itself"
#endif

#define CONFINE_SOCKETCALL_32 102
#define CONFINE_SOCKET_TYPE 0xfU /* the rest are flags */

#define LOAD(field) \
	BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, field))
#define JUMP_IF(value, yes, no) \
	BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, value, yes, no)
#define RETURN(action) BPF_STMT(BPF_RET | BPF_K, action)
#define MASK(bits) BPF_STMT(BPF_ALU | BPF_AND | BPF_K, bits)

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
		LOAD(nr),
		MASK(~CONFINE_OTHER_ABI),
		JUMP_IF(SYS_io_uring_setup, 0, 1),
		RETURN(SECCOMP_RET_ERRNO | ENOSYS),
		LOAD(arch),
		JUMP_IF(CONFINE_ARCH, 0, 3),
		LOAD(nr),
		MASK(~CONFINE_OTHER_ABI),
		JUMP_IF(SYS_socket, 4, 8),
		JUMP_IF(CONFINE_ARCH_32, 0, 7),
		LOAD(nr),
		JUMP_IF(CONFINE_SOCKETCALL_32, 3, 0),
		JUMP_IF(CONFINE_SOCKET_32, 0, 4),
		LOAD(args[0]),
		JUMP_IF(AF_VSOCK, 3, 2),
		LOAD(args[0]),
		JUMP_IF(1, 2, 0), /* SYS_SOCKET */
		RETURN(SECCOMP_RET_ALLOW),
		RETURN(SECCOMP_RET_ERRNO | EPERM),
		RETURN(SECCOMP_RET_ERRNO | ENOSYS),
	};

	return confine_load(code, ARRAY_SIZE(code));
}

/* Each pair ends the program where the call is this one. */
#define REFUSE(nr, error) JUMP_IF(nr, 0, 1), RETURN(SECCOMP_RET_ERRNO | (error))
#define NAMESPACES                                                   \
	(CLONE_NEWNS | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWUSER | \
	 CLONE_NEWPID | CLONE_NEWNET | CLONE_NEWCGROUP)

int confine_on_host(void)
{
	static const struct sock_filter code[] = {
		LOAD(arch),
		JUMP_IF(CONFINE_ARCH, 1, 0),
		RETURN(SECCOMP_RET_ERRNO | ENOSYS),
		LOAD(nr),
		BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, CONFINE_OTHER_ABI, 0, 1),
		RETURN(SECCOMP_RET_ERRNO | ENOSYS),
		REFUSE(SYS_keyctl, EPERM),
		REFUSE(SYS_add_key, EPERM),
		REFUSE(SYS_request_key, EPERM),
		REFUSE(SYS_io_uring_setup, EPERM),
		REFUSE(SYS_setns, EPERM),
		REFUSE(SYS_bpf, EPERM),
		REFUSE(SYS_perf_event_open, EPERM),
		REFUSE(SYS_userfaultfd, EPERM),
		/* Its flags lie in memory: the C library falls back to clone. */
		REFUSE(SYS_clone3, ENOSYS),
		JUMP_IF(SYS_clone, 1, 0),
		JUMP_IF(SYS_unshare, 0, 4),
		LOAD(args[0]),
		BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, NAMESPACES, 0, 1),
		RETURN(SECCOMP_RET_ERRNO | EPERM),
		RETURN(SECCOMP_RET_ALLOW),
		JUMP_IF(SYS_socket, 0, 4),
		LOAD(args[0]),
		JUMP_IF(AF_UNIX, 0, 1),
		RETURN(SECCOMP_RET_ERRNO | EPERM),
		RETURN(SECCOMP_RET_ALLOW),
		/* A pair of datagram sockets could be connected elsewhere. */
		JUMP_IF(SYS_socketpair, 0, 5),
		LOAD(args[1]),
		MASK(CONFINE_SOCKET_TYPE),
		JUMP_IF(SOCK_STREAM, 2, 0),
		JUMP_IF(SOCK_SEQPACKET, 1, 0),
		RETURN(SECCOMP_RET_ERRNO | EPERM),
		JUMP_IF(SYS_ioctl, 0, 3),
		LOAD(args[1]),
		JUMP_IF(TIOCSTI, 0, 1),
		RETURN(SECCOMP_RET_ERRNO | EPERM),
		RETURN(SECCOMP_RET_ALLOW),
	};

	return confine_load(code, ARRAY_SIZE(code));
}
