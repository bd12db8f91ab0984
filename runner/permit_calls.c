#include "runner/permit_calls.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/landlock.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "runner/filter.h"
#include "runner/gate.h"
#include "runner/permit.h"

#define CALLS_MAX 96
#define CALLS_TRUNCATE_ABI 3 /* from which on Landlock sees truncation */

/* By number where the headers may be older than the kernel. */
#define CALLS_FCHMODAT2 452
#define CALLS_SETXATTRAT 463
#define CALLS_REMOVEXATTRAT 466
#define CALLS_FILE_SETATTR 469

/* They change a file and need no right to open it, so that Landlock does not
 * see them. */
static const int calls_of_write[] = {
#ifdef SYS_chmod /* not on arm64 */
	SYS_chmod,        SYS_chown,           SYS_lchown,
	SYS_utime,        SYS_utimes,          SYS_futimesat,
#endif
	SYS_fchmod,       SYS_fchmodat,        CALLS_FCHMODAT2,
	SYS_fchown,       SYS_fchownat,        SYS_utimensat,
	SYS_setxattr,     SYS_lsetxattr,       SYS_fsetxattr,
	CALLS_SETXATTRAT, SYS_removexattr,     SYS_lremovexattr,
	SYS_fremovexattr, CALLS_REMOVEXATTRAT, CALLS_FILE_SETATTR,
	SYS_truncate,
};

struct calls {
	struct sock_filter code[CALLS_MAX];
	unsigned short n;
};

static void calls_add(struct calls *c, struct sock_filter instruction)
{
	if (c->n < CALLS_MAX)
		c->code[c->n++] = instruction;
}

static void calls_add_all(struct calls *c, const struct sock_filter *code,
			  size_t n)
{
	for (size_t i = 0; i < n; i++)
		calls_add(c, code[i]);
}

/* The number is loaded: what this call gets. */
static void calls_answer(struct calls *c, int nr, uint32_t action)
{
	calls_add(c, (struct sock_filter)FILTER_JUMP_IF((uint32_t)nr, 0, 1));
	calls_add(c, (struct sock_filter)FILTER_RETURN(action));
}

static bool calls_need_write(const struct permit *p)
{
	return !permit_is_all(p->write) && !json_array_size(p->write);
}

/* O_TRUNC without writing needs no right that Landlock knew before ABI 3. */
static void calls_refuse_truncation(struct calls *c, int nr, unsigned int flags)
{
	const struct sock_filter code[] = {
		FILTER_JUMP_IF((uint32_t)nr, 0, 5),
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, flags),
		FILTER_MASK(O_TRUNC | O_ACCMODE),
		FILTER_JUMP_IF(O_TRUNC | O_RDONLY, 0, 1),
		FILTER_REFUSE(EACCES),
		FILTER_RETURN(SECCOMP_RET_ALLOW),
	};

	calls_add_all(c, code, ARRAY_SIZE(code));
}

static bool calls_must_mind_truncation(const struct permit *p)
{
	return !permit_is_all(p->write) &&
	       syscall(SYS_landlock_create_ruleset, NULL, 0,
		       LANDLOCK_CREATE_RULESET_VERSION) < CALLS_TRUNCATE_ABI;
}

static void calls_mind_truncation(struct calls *c)
{
	calls_answer(c, SYS_truncate, SECCOMP_RET_ERRNO | EACCES);
	/* Its flags lie in memory, unseen: the C library does without. */
	calls_answer(c, SYS_openat2, SECCOMP_RET_ERRNO | ENOSYS);
	calls_refuse_truncation(c, SYS_openat,
				offsetof(struct seccomp_data, args[2]));
#ifdef SYS_open /* not on arm64 */
	calls_refuse_truncation(c, SYS_open,
				offsetof(struct seccomp_data, args[1]));
#endif
}

static void calls_fill(struct calls *c, const struct permit *p)
{
	static const struct sock_filter start[] = {
		FILTER_LOAD(arch),
		FILTER_JUMP_IF(FILTER_ARCH, 1, 0),
		FILTER_REFUSE(ENOSYS),
		FILTER_LOAD(nr),
		FILTER_JUMP_IF_ANY(FILTER_OTHER_ABI, 0, 1),
		FILTER_REFUSE(ENOSYS),
	};

	calls_add_all(c, start, ARRAY_SIZE(start));
	/* What goes through a ring passes no filter. */
	calls_answer(c, SYS_io_uring_setup, SECCOMP_RET_ERRNO | ENOSYS);
	if (!p->run) {
		calls_answer(c, SYS_execve, SECCOMP_RET_USER_NOTIF);
		calls_answer(c, SYS_execveat, SECCOMP_RET_USER_NOTIF);
	}
	for (size_t i = 0;
	     calls_need_write(p) && i < ARRAY_SIZE(calls_of_write); i++)
		calls_answer(c, calls_of_write[i], SECCOMP_RET_ERRNO | EACCES);
	if (calls_must_mind_truncation(p))
		calls_mind_truncation(c);
	calls_add(c, (struct sock_filter)FILTER_RETURN(SECCOMP_RET_ALLOW));
}

int permit_calls_apply(const struct permit *p, const struct permit_place *place,
		       const struct gate_programs *programs)
{
	_cleanup_close_ int listener = -1;
	struct calls c = { .n = 0 };
	struct sock_fprog program = { .filter = c.code };
	unsigned int flags = p->run ? 0 : SECCOMP_FILTER_FLAG_NEW_LISTENER;
	long r;

	if (p->run && !calls_need_write(p) && !calls_must_mind_truncation(p))
		return 0;
	calls_fill(&c, p);
	program.len = c.n;
	r = syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, flags, &program);
	if (r < 0)
		return -errno;
	if (p->run)
		return 0;
	listener = (int)r;
	return gate_hand_over(place->gate_fd, listener, programs);
}
