#include "orchestrator/sandbox_seccomp.h"

#include <errno.h>
#include <sched.h>
#include <seccomp.h>
#include <stdint.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>

/*
 * The container default turned round: what needs no privilege on a usual
 * kernel but widens what a script can attack, and what needs one that it
 * lacks anyway. By name, for not every architecture and libseccomp has all.
 */
static const char *const sandbox_seccomp_denied[] = {
	/* mounts and namespaces */
	"mount",
	"umount",
	"umount2",
	"pivot_root",
	"chroot",
	"unshare",
	"setns",
	"open_tree",
	"open_tree_attr",
	"move_mount",
	"fsopen",
	"fsconfig",
	"fsmount",
	"fspick",
	"mount_setattr",
	"statmount",
	"listmount",
	/* other processes */
	"ptrace",
	"process_vm_readv",
	"process_vm_writev",
	"process_madvise",
	"pidfd_getfd",
	"kcmp",
	/* kernel interfaces with a history */
	"bpf",
	"perf_event_open",
	"userfaultfd",
	"io_uring_setup",
	"io_uring_enter",
	"io_uring_register",
	"keyctl",
	"add_key",
	"request_key",
	"fanotify_init",
	"lookup_dcookie",
	"vmsplice",
	"open_by_handle_at",
	"name_to_handle_at",
	"quotactl",
	"quotactl_fd",
	"nfsservctl",
	"uselib",
	"ustat",
	"sysfs",
	"_sysctl",
	/* the machine */
	"kexec_load",
	"kexec_file_load",
	"init_module",
	"finit_module",
	"create_module",
	"delete_module",
	"query_module",
	"get_kernel_syms",
	"reboot",
	"swapon",
	"swapoff",
	"acct",
	"syslog",
	"vhangup",
	"iopl",
	"ioperm",
	"settimeofday",
	"clock_settime",
	"clock_settime64",
	"clock_adjtime",
	"clock_adjtime64",
	"adjtimex",
	"stime",
	"sethostname",
	"setdomainname",
	"mknod",
	"mknodat",
};

#define SANDBOX_SECCOMP_NAMESPACES                                   \
	(CLONE_NEWNS | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWUSER | \
	 CLONE_NEWPID | CLONE_NEWNET | CLONE_NEWCGROUP)

static int sandbox_seccomp_deny_names(scmp_filter_ctx filter)
{
	int r = 0;

	for (size_t i = 0; !r && i < ARRAY_SIZE(sandbox_seccomp_denied); i++) {
		int nr = seccomp_syscall_resolve_name(
			sandbox_seccomp_denied[i]);

		if (nr != __NR_SCMP_ERROR)
			r = seccomp_rule_add(filter, SCMP_ACT_ERRNO(EPERM), nr,
					     0);
		if (r == -EDOM) /* not of this architecture */
			r = 0;
	}
	return r;
}

/* One rule for each flag: a mask matches only all of its bits at once. */
static int sandbox_seccomp_deny_clone(scmp_filter_ctx filter)
{
	int r;

	for (uint64_t bit = 1; bit; bit <<= 1) {
		if (!(SANDBOX_SECCOMP_NAMESPACES & bit))
			continue;
		r = seccomp_rule_add(filter, SCMP_ACT_ERRNO(EPERM),
				     SCMP_SYS(clone), 1,
				     SCMP_A0(SCMP_CMP_MASKED_EQ, bit, bit));
		if (r < 0)
			return r;
	}
	/* Its flags lie in memory, unseen: the C library falls back to
	 * clone. */
	return seccomp_rule_add(filter, SCMP_ACT_ERRNO(ENOSYS),
				SCMP_SYS(clone3), 0);
}

static int sandbox_seccomp_fill(scmp_filter_ctx filter)
{
	int r;

	r = seccomp_attr_set(filter, SCMP_FLTATR_ACT_BADARCH,
			     SCMP_ACT_KILL_PROCESS);
	if (!r)
		r = seccomp_attr_set(filter, SCMP_FLTATR_CTL_OPTIMIZE, 2);
	if (!r)
		r = sandbox_seccomp_deny_names(filter);
	if (!r)
		r = sandbox_seccomp_deny_clone(filter);
	/* Typing into the terminal that started us. */
	if (!r)
		r = seccomp_rule_add(
			filter, SCMP_ACT_ERRNO(EPERM), SCMP_SYS(ioctl), 1,
			SCMP_A1(SCMP_CMP_MASKED_EQ, 0xffffffff, TIOCSTI));
	/* The way to the hypervisor. */
	if (!r)
		r = seccomp_rule_add(filter, SCMP_ACT_ERRNO(EPERM),
				     SCMP_SYS(socket), 1,
				     SCMP_A0(SCMP_CMP_EQ, AF_VSOCK, 0));
	return r;
}

int sandbox_seccomp_new(void)
{
	scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ALLOW);
	int fd, r;

	if (!filter)
		return -ENOMEM;
	fd = memfd_create("seccomp", MFD_CLOEXEC);
	r = fd < 0 ? -errno : sandbox_seccomp_fill(filter);
	if (!r)
		r = seccomp_export_bpf(filter, fd);
	seccomp_release(filter);
	if (r < 0) {
		closep(&fd);
		return r;
	}
	return fd;
}
