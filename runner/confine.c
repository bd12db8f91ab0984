#include "runner/confine.h"

#include <errno.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
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

#define LOAD(field) \
	BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, field))
#define JUMP_IF(value, yes, no) \
	BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, value, yes, no)
#define RETURN(action) BPF_STMT(BPF_RET | BPF_K, action)

int confine(void)
{
	/* The first argument's upper half is not looked at: the kernel takes
	 * the family as an int. socketcall(SOCKET, …) hides it in memory; who
	 * calls that has socket() as well. */
	static const struct sock_filter code[] = {
		LOAD(arch),
		JUMP_IF(CONFINE_ARCH, 0, 3),
		LOAD(nr),
		BPF_STMT(BPF_ALU | BPF_AND | BPF_K, ~CONFINE_OTHER_ABI),
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
	const struct sock_fprog program = {
		.len = sizeof(code) / sizeof(*code),
		.filter = (struct sock_filter *)code,
	};

	if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) < 0)
		return -errno;
	return 0;
}
