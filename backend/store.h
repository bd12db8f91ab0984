/*
 * The store: everything of the backend that outlives a restart. This header
 * says how its operations work, which are in store_{job,queue,log,stream,
 * variable,runtime,session,host,agent,no_wait,tool,admin}.h; store_record.h is
 * what they give back, and store_call.h what an implementation (store_sql.h)
 * sees.
 *
 * Every operation is asynchronous. It copies its request in, is queued, and
 * never waits for the disk in the caller's thread:
 *
 *     loop ──▶ writer thread: takes all that is queued, one transaction with
 *      ▲  │      a savepoint for each operation, one commit (fsync)
 *      │  └──▶ reader thread: its own connection, a snapshot of what is
 *      │         committed
 *      └─────── completions, through an eventfd
 *
 * - done.fn is called exactly once, in the loop thread, never from within the
 *   function that started the operation; for a write, after its commit. What
 *   was acknowledged is on disk.
 * - Writes happen in the order in which they were started. A read sees every
 *   write whose completion was delivered before the read was started; it may
 *   or may not see one that is still under way.
 * - The result and all it points to are valid during the callback only.
 * - Functions return 0, or without ever calling done.fn -ENOMEM or -EAGAIN
 *   (the queue is full: STORE_QUEUE_*; tell the client 503).
 * - In the callback r is 0; a positive STORE_E_* outcome; or a negative errno:
 *   -ENOSPC (disk full), -EROFS, -EIO (the database is damaged or the disk
 *   fails), -ENOMEM. result->message is then a sentence for people. A failed
 *   or refused operation has changed nothing.
 *
 * Strings are NUL-terminated. Times are milliseconds since the Unix epoch, 0
 * for "not yet". Sizes of values are the caller's to limit.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

#include "backend/store_record.h"
#include "common/macro.h"

#define STORE_QUEUE_MAX_CALLS 65536
#define STORE_QUEUE_MAX_BYTES (256 * 1024 * 1024)
#define STORE_LIST_MAX 1000 /* rows of one list reply */

struct buf;
struct event_base;
struct store;
struct store_call;
struct vault;

/* Outcomes, for the direct caller to handle. */
enum {
	STORE_E_NOT_FOUND = 1,
	STORE_E_EXISTS,      /* STORE_EXPECT_ABSENT, but it is there */
	STORE_E_CONFLICT,    /* another version than the expected one */
	STORE_E_STALE_EPOCH, /* a later claim, or the lease ran out */
	STORE_E_ENDED,       /* the job or execution has ended */
	STORE_E_LIMIT,       /* no room: a limit given with the request */
	STORE_E_LOG_GAP,    /* result->log_append.next is the expected offset */
	STORE_E_TYPE,       /* increment of what is not a number */
	STORE_E_RANGE,      /* increment past 64 bits, or not finite */
	STORE_E_KEY_REUSED, /* Idempotency-Key of a different request */
	STORE_E_STATE,      /* the job's state does not allow it */
	STORE_E_STREAM_GAP, /* records are missing before that number */
	STORE_E_STREAM_ENDED, /* nothing more can be appended */
	STORE_E_FAMILY,       /* too many jobs of one execution, or too deep */
	STORE_E_HOST,         /* a job names a host that is not registered */
	STORE_E_SESSION,      /* a job names a session that is not there */
	STORE_E_SESSION_ENDED,
};

/* "not_found" …: the name of an outcome, as in problem documents. */
const char *store_outcome_name(int e);

/*
 * Who waits for completions, e.g. one HTTP exchange; embedded by value,
 * zero-initialised. When it goes away, store_owner_cancel() makes sure that
 * none of its callbacks runs any more. Writes are carried out all the same;
 * reads that have not begun are skipped.
 */
struct store_owner {
	LIST_HEAD(store_owner_calls, store_call) calls;
};

void store_owner_cancel(struct store_owner *owner);

struct store_done {
	struct store_owner *owner; /* NULL: cannot be cancelled */
	/* NULL: nobody wants to know. */
	void (*fn)(int r, const struct store_result *result, void *ctx);
	void *ctx;
};

struct store_config {
	const char *data_dir;      /* exists, and is locked: data_dir.h */
	const char *url;           /* store_url.h; NULL: DATA/cronium.db */
	const struct vault *vault; /* outlives the store */
	/* Signs the scripts of a data directory from before there were
	 * signatures, while it is opened: appends to out. NULL: nobody does. */
	int (*sign)(const void *signer, const void *script, size_t len,
		    struct buf *out);
	const void *signer;
};

/*
 * Opens the database (a file: 0600), brings its schema up to date and starts
 * the threads. Blocks: call it before the loop runs. On failure a negative
 * errno and a sentence in err; -EKEYREJECTED when the vault's key is not the
 * one that the stored secrets were encrypted with.
 */
int store_open(struct store **out, struct event_base *base,
	       const struct store_config *config, char *err,
	       size_t err_size) MUST_CHECK;
/* Blocks until what is queued is committed; callbacks do not run any more.
 * NULL is fine. */
void store_close(struct store *s);

/* The time by which leases and waits are kept, in ms since the Unix epoch: that
 * of all who use this database, whatever is done to this machine's clock. */
int64_t store_now_ms(const struct store *s);
/* Other backends may use the same. */
bool store_is_shared(const struct store *s);

/* Who writes on behalf of a script. */
struct store_writer {
	const char *execution; /* NULL: an administrator. Otherwise the write
				* is refused with STORE_E_ENDED unless it is
				* claimed or running */
	const char *idempotency_key; /* of this execution; may be NULL. The
				      * first success is repeated, with
				      * result->repeated */
};
