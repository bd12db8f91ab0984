/* What an earlier process left: lock, look, cut off, go on. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/file_lock.h"
#include "common/log.h"
#include "common/wal/alien.h"
#include "common/wal/dir.h"
#include "orchestrator/wal_impl.h"

/* `cronium wal verify` has it for a moment, to see whether we do. */
#define START_LOCK_WAIT_MS 200
#define START_PID_BYTES 16
#define START_CHUNK_BYTES 65536
#define START_TEXT_BYTES 256
#define START_ALIENS_MAX 10 /* that are named in the log */

/* What the newest segments say. */
struct start_look {
	struct wal_segment *segments;
	size_t n;
	uint64_t last; /* number of the last record; 0: none */
	uint32_t crc;
	uint64_t end; /* of the last record, in the newest segment */
	bool begun;   /* the newest segment has a record */
	bool damaged; /* the newest segment, in its middle */
	struct wal_damage tail;
};

static int start_fail(const struct wal *w, char *err, size_t err_size,
		      const char *what, int r)
{
	const char *next = "see who owns it, and what the system's log says";

	if (r == -ENOSPC || r == -EDQUOT)
		next = "make room on that disk";
	else if (r == -EROFS)
		next = "mount it for writing, or give another --data-dir";
	else if (r == -EIO)
		next = "the disk fails: copy what can be read, and give "
		       "another --data-dir";
	else if (r == -ENOTDIR || r == -ELOOP)
		next = "move what is there away";
	else if (r == -ERANGE)
		next = "its records have numbers that no log comes to: move "
		       "the whole directory away";
	else if (r == -E2BIG)
		next = "move what is no log of ours out of it: it has more "
		       "segments than any";
	snprintf(err, err_size, "cannot %s the log %s: %s; %s", what, w->dir,
		 strerror(-r), next);
	return r;
}

/* --- the lock ------------------------------------------------------------- */

static int start_busy(const struct wal *w, char *err, size_t err_size)
{
	char pid[START_PID_BYTES] = "";
	ssize_t n = pread(w->lock_fd, pid, sizeof(pid) - 1, 0);

	pid[MAX(n, 0)] = '\0';
	pid[strspn(pid, "0123456789")] = '\0';
	snprintf(err, err_size,
		 "the log %s is written by another process (pid %s); stop it, "
		 "or give another --data-dir",
		 w->dir, *pid ? pid : "unknown");
	return -EBUSY;
}

static int start_lock(struct wal *w, char *err, size_t err_size)
{
	char pid[START_PID_BYTES];
	int r;

	w->lock_fd = openat(w->dir_fd, WAL_LOCK_NAME,
			    O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	r = w->lock_fd < 0 ? -errno : file_lock(w->lock_fd, START_LOCK_WAIT_MS);
	if (r == -EBUSY)
		return start_busy(w, err, err_size);
	if (!r) {
		snprintf(pid, sizeof(pid), "%d\n", (int)getpid());
		if (ftruncate(w->lock_fd, 0) < 0 ||
		    pwrite(w->lock_fd, pid, strlen(pid), 0) < 0)
			r = -errno;
	}
	return r < 0 ? start_fail(w, err, err_size, "lock", r) : 0;
}

static int start_open_dir(struct wal *w, char *err, size_t err_size)
{
	int r = snprintf(w->dir, sizeof(w->dir), "%s/" WAL_DIR_NAME,
			 w->config.data_dir);

	r = (size_t)r >= sizeof(w->dir) ? -ENAMETOOLONG : 0;
	if (!r && mkdir(w->dir, 0700) < 0 && errno != EEXIST)
		r = -errno;
	if (!r) {
		w->dir_fd = open(w->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		r = w->dir_fd < 0 ? -errno : 0;
	}
	return r < 0 ? start_fail(w, err, err_size, "open", r) : 0;
}

/* --- what does not belong there ------------------------------------------- */

struct start_aliens {
	const struct wal *w;
	size_t n;               /* that are left alone */
	struct wal_alien first; /* of those that are in the way */
};

static void start_on_alien(const struct wal_alien *a, void *ctx)
{
	struct start_aliens *aliens = ctx;
	char text[WAL_ALIEN_TEXT_BYTES];

	if (wal_alien_blocks(a)) {
		if (!aliens->first.kind)
			aliens->first = *a;
		return;
	}
	if (aliens->n++ >= START_ALIENS_MAX)
		return;
	wal_alien_text(a, text, sizeof(text));
	log_warn(NULL, "log %s: %s", aliens->w->dir, text);
}

/* Before anything of it is opened: a pipe would wait for ever. */
static int start_look_around(const struct wal *w, char *err, size_t err_size)
{
	struct start_aliens aliens = { .w = w };
	char text[WAL_ALIEN_TEXT_BYTES];
	int r = wal_alien_each(w->dir_fd, start_on_alien, &aliens);

	if (r < 0)
		return start_fail(w, err, err_size, "read", r);
	if (aliens.n > START_ALIENS_MAX)
		log_warn(NULL,
			 "log %s: %zu more that are no files of the log, and "
			 "left alone",
			 w->dir, aliens.n - START_ALIENS_MAX);
	if (!aliens.first.kind)
		return 0;
	wal_alien_text(&aliens.first, text, sizeof(text));
	snprintf(err, err_size,
		 "cannot go on with the log %s: %s; move it out of that "
		 "directory and start again (cronium wal verify names "
		 "everything that is in the way)",
		 w->dir, text);
	return -EBADF;
}

/* --- what is there -------------------------------------------------------- */

static void start_tell(struct wal *w, const struct wal_damage *d)
{
	char text[START_TEXT_BYTES];

	wal_damage_text(d, text, sizeof(text));
	log_warn(NULL, "log %s: %s", w->dir, text);
	if (w->config.on_damage)
		w->config.on_damage(d, w->config.ctx);
}

static void start_note(struct wal *w, struct start_look *look,
		       const struct wal_item *item, uint64_t newest)
{
	char name[WAL_SEGMENT_NAME_BYTES];

	if (item->damage.kind) {
		wal_segment_name(newest, name);
		look->damaged |= !strcmp(item->damage.file, name);
		start_tell(w, &item->damage);
		return;
	}
	look->last = item->seq;
	look->crc = item->crc;
	look->begun = item->segment == newest;
	look->end = item->offset + item->len + 1;
}

/* Verifies the newest two segments: the newest may have no record yet. */
static int start_read(struct wal *w, struct start_look *look)
{
	uint64_t newest = look->segments[look->n - 1].first;
	uint64_t from = look->n > 1 ? look->segments[look->n - 2].first : 0;
	struct wal_reader *reader;
	struct wal_item item;
	int r = wal_reader_new(&reader, w->dir, from);

	if (r < 0)
		return r;
	while (!(r = wal_reader_next(reader, &item)))
		start_note(w, look, &item, newest);
	wal_reader_tail(reader, &look->tail);
	wal_reader_free(reader);
	return r == WAL_READ_E_END ? 0 : r;
}

static int start_look(struct wal *w, struct start_look *look)
{
	int r = wal_dir_list(w->dir_fd, &look->segments, &look->n);

	if (!r && look->n)
		r = start_read(w, look);
	if (!r && look->last > WAL_SEQ_MAX)
		r = -ERANGE;
	if (!r)
		r = wal_dir_needed(w->dir_fd, &w->needed);
	return r;
}

/* --- the tail ------------------------------------------------------------- */

/* What the bytes behind the last record are. */
struct start_tail {
	uint64_t lines; /* line feeds */
	uint64_t bytes; /* without the zeros at the end */
};

static int start_scan_tail(int fd, const struct wal_damage *tail,
			   struct start_tail *out)
{
	_cleanup_free_ uint8_t *chunk = malloc(START_CHUNK_BYTES);
	uint64_t at = 0;

	if (!chunk)
		return -ENOMEM;
	while (at < tail->len) {
		ssize_t n = pread(fd, chunk, START_CHUNK_BYTES,
				  (off_t)(tail->offset + at));

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n < 0 ? -errno : 0;
		for (ssize_t i = 0; i < n; i++) {
			out->lines += chunk[i] == '\n';
			if (chunk[i])
				out->bytes = at + (uint64_t)i + 1;
		}
		at += (uint64_t)n;
	}
	return 0;
}

/* One line that was not finished, or zeros that a crash has left: what is more
 * than that is kept, for who wants to look at it. */
static bool start_is_torn(const struct start_tail *tail)
{
	return tail->lines <= 1 && tail->bytes <= WAL_RECORD_MAX_BYTES;
}

/* Opens the newest segment and makes its end that of its last record. *whole:
 * whether it goes on. *lines: records that its end may have had. */
static int start_cut(struct wal *w, struct start_look *look, bool *whole,
		     uint64_t *lines)
{
	char name[WAL_SEGMENT_NAME_BYTES];
	struct start_tail tail = { 0 };
	int r;

	wal_segment_name(look->segments[look->n - 1].first, name);
	w->fd = openat(w->dir_fd, name, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
	if (w->fd < 0)
		return -errno;
	*whole = !look->damaged;
	if (look->tail.kind) {
		r = start_scan_tail(w->fd, &look->tail, &tail);
		if (r < 0)
			return r;
		if (!start_is_torn(&tail)) {
			look->tail.kind = WAL_DAMAGE_UNREADABLE;
			*whole = false;
			*lines = MAX(tail.lines, 1);
		}
		start_tell(w, &look->tail);
		if (*whole && ftruncate(w->fd, (off_t)look->tail.offset) < 0)
			return -errno;
	}
	/* The last process may have died before it synced what it wrote. */
	return fsync(w->fd) < 0 ? -errno : 0;
}

/* The segment before it may not be synced either. */
static int start_sync_older(const struct wal *w, const struct start_look *look)
{
	_cleanup_close_ int fd = -1;
	char name[WAL_SEGMENT_NAME_BYTES];

	if (look->n > 1) {
		wal_segment_name(look->segments[look->n - 2].first, name);
		fd = openat(w->dir_fd, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
		if (fd < 0 || fsync(fd) < 0)
			return -errno;
	}
	return fsync(w->dir_fd) < 0 ? -errno : 0;
}

/* --- going on ------------------------------------------------------------- */

/* Behind everything that was there, readable or not. */
static int start_segment(struct wal *w, const struct start_look *look,
			 uint64_t lines)
{
	uint64_t first = look->last + 1;

	if (look->n && !look->begun)
		first = MAX(first, look->segments[look->n - 1].first);
	first += lines;
	if (w->fd >= 0)
		close(w->fd);
	w->fd = -1;
	w->first = first;
	w->end = (struct wal_mark){ .seq = first - 1, .crc = look->crc };
	w->written = w->synced = w->end;
	return wal_write_rotate(w);
}

static int start_go_on(struct wal *w, const struct start_look *look)
{
	w->first = look->segments[look->n - 1].first;
	w->bytes = w->synced_bytes = look->end;
	w->end = (struct wal_mark){ .seq = look->last, .crc = look->crc };
	w->written = w->synced = w->end;
	return 0;
}

static int start_resume(struct wal *w, struct start_look *look)
{
	uint64_t lines = 0;
	bool whole = false;
	int r = look->n ? start_cut(w, look, &whole, &lines) : 0;

	if (!r)
		r = start_sync_older(w, look);
	if (r < 0)
		return r;
	if (whole && look->begun && look->end < w->config.segment_bytes)
		return start_go_on(w, look);
	return start_segment(w, look, lines);
}

int wal_start(struct wal *w, char *err, size_t err_size)
{
	struct start_look look = { 0 };
	int r = start_open_dir(w, err, err_size);

	if (!r)
		r = start_look_around(w, err, err_size);
	if (!r)
		r = start_lock(w, err, err_size);
	if (r < 0)
		return r;
	/* Of a process that died while it made it. */
	if (unlinkat(w->dir_fd, WAL_NEW_NAME, 0) < 0 && errno != ENOENT)
		r = -errno;
	if (!r)
		r = start_look(w, &look);
	if (r < 0)
		r = start_fail(w, err, err_size, "read", r);
	if (!r) {
		r = start_resume(w, &look);
		if (r < 0)
			start_fail(w, err, err_size, "go on with", r);
	}
	free(look.segments);
	return r;
}
