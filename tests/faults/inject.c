/*
 * Makes one call of a unit test fail: each place in our code that allocates
 * memory or asks the kernel for something fails once, and inject.py sees what
 * comes of it. Linked into the unit tests of a build with -Dinject=true
 * (build-asan), whose own calls of these functions come here (--wrap); jansson
 * and libevent allocate through here, too. Without the variables below nothing
 * is different.
 *
 * A place is a function and where it was called from: up to INJECT_FRAMES
 * return addresses within the program.
 *
 *   CRONIUM_INJECT_LOG   file: a line "SITE PLACE LIBRARY FUNCTION OFFSET…" for
 *                        each place when it is first come by, "FAIL" when it
 *                        is made to fail
 *   CRONIUM_INJECT_FAIL  PLACE: fails the first time
 *   CRONIUM_INJECT_TEST  runs this one test of the program
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <event2/event.h>
#include <execinfo.h>
#include <fcntl.h>
#include <jansson.h>
#include <link.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>

#define INJECT_FRAMES 4
#define INJECT_BACKTRACE 24
#define INJECT_SEEN 65536 /* a power of two */
#define INJECT_LINE_BYTES 256
/* This file's own on top of each backtrace: inject_hit and its caller. */
#define INJECT_OWN_FRAMES 2

static struct {
	bool on;
	int log_fd;
	uint64_t fail;
	atomic_bool failed;
	uintptr_t base; /* where this program is loaded */
	_Atomic uint64_t seen[INJECT_SEEN];
} inject;

static _Thread_local bool inject_inside;

ssize_t __real_write(int fd, const void *data, size_t len);

static void inject_say(const char *line, size_t len)
{
	if (inject.log_fd >= 0 && __real_write(inject.log_fd, line, len) < 0)
		abort();
}

/* --- places --------------------------------------------------------------- */

static uint64_t inject_mix(uint64_t hash, uint64_t value)
{
	hash = (hash ^ value) * 0x100000001b3;
	return hash ^ hash >> 29;
}

struct inject_place {
	uint64_t hash, library; /* the latter: of frames of libraries alone */
	const char *function;
	uintptr_t at[INJECT_FRAMES]; /* offsets in the program */
	size_t n;
};

/* Offset in the object that has it; *own: in this program. */
static bool inject_offset(const void *frame, uintptr_t *offset, bool *own)
{
	uintptr_t address = (uintptr_t)frame - 1;
	struct dl_find_object object;

	if (_dl_find_object((void *)address, &object))
		return false;
	*offset = address - object.dlfo_link_map->l_addr;
	*own = object.dlfo_link_map->l_addr == inject.base;
	return true;
}

/* What is between the call and this program (jansson, libevent) counts by its
 * offset, too, so that each allocation in a library is a place. */
static void inject_locate(struct inject_place *place, void **frames, int n)
{
	int skip = INJECT_OWN_FRAMES;
	uintptr_t offset;
	bool own;

	place->hash = 0xcbf29ce484222325;
	for (const char *p = place->function; *p; p++)
		place->hash = inject_mix(place->hash, (uint8_t)*p);
	for (int i = 0; i < n && place->n < INJECT_FRAMES; i++) {
		if (!inject_offset(frames[i], &offset, &own))
			continue;
		if (skip) {
			skip -= own;
			continue;
		}
		place->hash = inject_mix(place->hash, offset);
		if (own)
			place->at[place->n++] = offset;
		else
			place->library = inject_mix(place->library, offset);
	}
	place->hash |= 1;
}

static bool inject_is_new(uint64_t hash)
{
	for (size_t i = 0; i < INJECT_SEEN; i++) {
		_Atomic uint64_t *slot = &inject.seen[(hash + i) % INJECT_SEEN];
		uint64_t there = 0;

		if (*slot == hash)
			return false;
		if (*slot == 0 &&
		    atomic_compare_exchange_strong(slot, &there, hash))
			return true;
		if (there == hash)
			return false;
	}
	return false;
}

static void inject_note(const struct inject_place *place)
{
	char line[INJECT_LINE_BYTES];
	int len = snprintf(line, sizeof(line), "\nSITE %016llx %016llx %s",
			   (unsigned long long)place->hash,
			   (unsigned long long)place->library, place->function);

	for (size_t i = 0; i < place->n; i++)
		len += snprintf(line + len, sizeof(line) - (size_t)len, " %llx",
				(unsigned long long)place->at[i]);
	line[len++] = '\n';
	inject_say(line, (size_t)len);
}

static bool inject_is_it(const struct inject_place *place)
{
	static const char fail[] = "\nFAIL\n";

	if (!place->n)
		return false; /* a library's own doing */
	if (inject_is_new(place->hash))
		inject_note(place);
	if (place->hash != inject.fail || atomic_exchange(&inject.failed, true))
		return false;
	inject_say(fail, sizeof(fail) - 1);
	return true;
}

__attribute__((noinline)) static bool inject_hit(const char *function)
{
	struct inject_place place = { .function = function };
	void *frames[INJECT_BACKTRACE];
	int before = errno;
	bool hit;

	if (!inject.on || inject_inside)
		return false;
	inject_inside = true;
	inject_locate(&place, frames, backtrace(frames, INJECT_BACKTRACE));
	hit = inject_is_it(&place);
	inject_inside = false;
	errno = before;
	return hit;
}

/* --- what fails ----------------------------------------------------------- */

/* Weak: where a test wraps the function itself, that one counts. */
#define INJECT(type, name, parameters, arguments, result, error)      \
	type __real_##name parameters;                                \
	type __wrap_##name parameters;                                \
	__attribute__((weak, noinline)) type __wrap_##name parameters \
	{                                                             \
		if (inject_hit(#name)) {                              \
			errno = error;                                \
			return result;                                \
		}                                                     \
		return __real_##name arguments;                       \
	}

INJECT(void *, malloc, (size_t n), (n), NULL, ENOMEM)
INJECT(void *, calloc, (size_t n, size_t size), (n, size), NULL, ENOMEM)
INJECT(void *, realloc, (void *p, size_t n), (p, n), NULL, ENOMEM)
INJECT(void *, reallocarray, (void *p, size_t n, size_t size), (p, n, size),
       NULL, ENOMEM)
INJECT(char *, strdup, (const char *s), (s), NULL, ENOMEM)
INJECT(char *, strndup, (const char *s, size_t n), (s, n), NULL, ENOMEM)
INJECT(int, vasprintf, (char **out, const char *fmt, va_list ap),
       (out, fmt, ap), -1, ENOMEM)
INJECT(int, pthread_create,
       (pthread_t * t, const pthread_attr_t *attr, void *(*run)(void *),
	void *arg),
       (t, attr, run, arg), EAGAIN, EAGAIN)

INJECT(ssize_t, read, (int fd, void *data, size_t n), (fd, data, n), -1, EIO)
INJECT(ssize_t, write, (int fd, const void *data, size_t n), (fd, data, n), -1,
       ENOSPC)
INJECT(ssize_t, pread64, (int fd, void *data, size_t n, off_t at),
       (fd, data, n, at), -1, EIO)
INJECT(ssize_t, pwrite64, (int fd, const void *data, size_t n, off_t at),
       (fd, data, n, at), -1, ENOSPC)
INJECT(ssize_t, readv, (int fd, const struct iovec *v, int n), (fd, v, n), -1,
       EIO)
INJECT(ssize_t, writev, (int fd, const struct iovec *v, int n), (fd, v, n), -1,
       ENOSPC)
INJECT(int, fsync, (int fd), (fd), -1, EIO)
INJECT(int, fdatasync, (int fd), (fd), -1, EIO)
INJECT(int, ftruncate64, (int fd, off_t n), (fd, n), -1, EIO)
INJECT(int, fchmod, (int fd, mode_t mode), (fd, mode), -1, EPERM)
INJECT(int, fstat64, (int fd, struct stat *st), (fd, st), -1, EIO)
INJECT(int, stat64, (const char *path, struct stat *st), (path, st), -1, EACCES)
INJECT(int, lstat64, (const char *path, struct stat *st), (path, st), -1,
       EACCES)
INJECT(int, mkdir, (const char *path, mode_t mode), (path, mode), -1, ENOSPC)
INJECT(int, rename, (const char *a, const char *b), (a, b), -1, EIO)
INJECT(int, renameat, (int da, const char *a, int db, const char *b),
       (da, a, db, b), -1, EIO)
INJECT(int, unlink, (const char *path), (path), -1, EIO)
INJECT(int, unlinkat, (int dir, const char *path, int flags),
       (dir, path, flags), -1, EIO)
INJECT(int, mkostemp64, (char *path, int flags), (path, flags), -1, EMFILE)
INJECT(DIR *, opendir, (const char *path), (path), NULL, EMFILE)
INJECT(DIR *, fdopendir, (int fd), (fd), NULL, ENOMEM)
INJECT(FILE *, fopen64, (const char *path, const char *mode), (path, mode),
       NULL, EMFILE)
INJECT(void *, mmap64,
       (void *at, size_t n, int prot, int flags, int fd, off_t offset),
       (at, n, prot, flags, fd, offset), MAP_FAILED, ENOMEM)
INJECT(int, dup, (int fd), (fd), -1, EMFILE)
INJECT(int, eventfd, (unsigned int count, int flags), (count, flags), -1,
       EMFILE)
INJECT(int, pipe2, (int fds[2], int flags), (fds, flags), -1, EMFILE)
INJECT(int, socket, (int family, int type, int protocol),
       (family, type, protocol), -1, EMFILE)
INJECT(int, socketpair, (int family, int type, int protocol, int fds[2]),
       (family, type, protocol, fds), -1, EMFILE)
INJECT(int, bind, (int fd, const struct sockaddr *a, socklen_t n), (fd, a, n),
       -1, EADDRINUSE)
INJECT(int, listen, (int fd, int backlog), (fd, backlog), -1, EADDRINUSE)
INJECT(int, connect, (int fd, const struct sockaddr *a, socklen_t n),
       (fd, a, n), -1, ETIMEDOUT)
INJECT(int, accept4, (int fd, struct sockaddr *a, socklen_t *n, int flags),
       (fd, a, n, flags), -1, EMFILE)
INJECT(ssize_t, send, (int fd, const void *data, size_t n, int flags),
       (fd, data, n, flags), -1, ECONNRESET)
INJECT(ssize_t, recv, (int fd, void *data, size_t n, int flags),
       (fd, data, n, flags), -1, ECONNRESET)
INJECT(ssize_t, sendmsg, (int fd, const struct msghdr *m, int flags),
       (fd, m, flags), -1, ECONNRESET)
INJECT(ssize_t, recvmsg, (int fd, struct msghdr *m, int flags), (fd, m, flags),
       -1, ECONNRESET)

/* With an argument more, where there is one. */
#define INJECT_OPEN(name, parameters, arguments, last)                     \
	int __real_##name parameters;                                      \
	int __wrap_##name parameters;                                      \
	__attribute__((weak, noinline)) int __wrap_##name parameters       \
	{                                                                  \
		va_list ap;                                                \
		mode_t mode;                                               \
                                                                           \
		va_start(ap, last);                                        \
		mode = last & (O_CREAT | __O_TMPFILE) ? va_arg(ap, mode_t) \
						      : 0;                 \
		va_end(ap);                                                \
		if (inject_hit(#name)) {                                   \
			errno = EMFILE;                                    \
			return -1;                                         \
		}                                                          \
		return __real_##name arguments;                            \
	}

INJECT_OPEN(open64, (const char *path, int flags, ...), (path, flags, mode),
	    flags)
INJECT_OPEN(openat64, (int dir, const char *path, int flags, ...),
	    (dir, path, flags, mode), flags)

int __wrap_asprintf(char **out, const char *fmt, ...);
__attribute__((weak, noinline)) int __wrap_asprintf(char **out, const char *fmt,
						    ...)
{
	va_list ap;
	int n;

	if (inject_hit("asprintf")) {
		errno = ENOMEM;
		return -1;
	}
	va_start(ap, fmt);
	n = __real_vasprintf(out, fmt, ap);
	va_end(ap);
	return n;
}

/* --- libraries ------------------------------------------------------------ */

__attribute__((noinline)) static void *json_malloc(size_t n)
{
	return inject_hit("json_malloc") ? NULL : __real_malloc(n);
}

__attribute__((noinline)) static void *event_malloc(size_t n)
{
	return inject_hit("event_malloc") ? NULL : __real_malloc(n);
}

__attribute__((noinline)) static void *event_realloc(void *p, size_t n)
{
	return inject_hit("event_realloc") ? NULL : __real_realloc(p, n);
}

__attribute__((constructor)) static void inject_start(void)
{
	const char *log = getenv("CRONIUM_INJECT_LOG");
	const char *fail = getenv("CRONIUM_INJECT_FAIL");
	const char *test = getenv("CRONIUM_INJECT_TEST");
	void *warm_up[2];
	struct dl_find_object object;

	if (test)
		cmocka_set_test_filter(test);
	inject.log_fd = log ? __real_open64(log,
					    O_WRONLY | O_APPEND | O_CREAT |
						    O_CLOEXEC,
					    0600)
			    : -1;
	inject.fail = fail ? strtoull(fail, NULL, 16) : 0;
	if (!log && !fail)
		return;
	/* Lines of the log and of cmocka go to one file. */
	setvbuf(stdout, NULL, _IONBF, 0);
	/* It loads a library, once. */
	backtrace(warm_up, 2);
	if (!_dl_find_object((void *)inject_start, &object))
		inject.base = object.dlfo_link_map->l_addr;
	json_set_alloc_funcs(json_malloc, free);
	event_set_mem_functions(event_malloc, event_realloc, free);
	inject.on = true;
}
