/* cronium wal: show, verify, tail. What the orchestrator noted, from its files:
 * no server is needed, nor is one in the way. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/inotify.h>
#include <unistd.h>

#include "cli/command.h"
#include "cli/output.h"
#include "cli/place.h"
#include "cli/verb.h"
#include "cli/wal_view.h"
#include "common/clock.h"
#include "common/file_lock.h"
#include "common/json.h"
#include "common/wal/alien.h"
#include "common/wal/dir.h"
#include "common/wal/record.h"

#define WAL_TAIL_MAX 1000000
/* Where a change was not told, the files are looked at all the same. */
#define WAL_POLL_MS 1000
#define WAL_TYPES_TEXT_BYTES 512 /* the names of all of them */
#define WAL_DAMAGES_MAX 1000     /* that verify lists; more are counted */

struct wal_options {
	struct cli_globals globals;
	const char *job, *execution;
	struct option_list types;
	uint64_t since_ms, lines;
	bool follow;
};

#define WAL_OPTION(name, letter, type, field, arg, initial, help)      \
	CLI_OPTION(name, letter, type, struct wal_options, field, arg, \
		   initial, help)

static const struct option_spec wal_specs[] = {
	WAL_OPTION("job", 'j', OPTION_STRING, job, "JOB", NULL,
		   "only what is about this job"),
	WAL_OPTION("execution", 'e', OPTION_STRING, execution, "EXECUTION",
		   NULL, "only what is about this execution"),
	WAL_OPTION("type", 't', OPTION_LIST, types, "TYPE", NULL,
		   "only these types: claimed, started, …; repeatable"),
	WAL_OPTION("since", 0, OPTION_DURATION, since_ms, "DURATION", NULL,
		   "only the last 10m, 2h, …"),
	WAL_OPTION("lines", 'n', OPTION_UINT, lines, "N", "10",
		   "tail: how many to begin with"),
	WAL_OPTION("follow", 'f', OPTION_FLAG, follow, NULL, NULL,
		   "tail: go on with what is written"),
	CLI_GLOBAL_OPTION("data-dir", 0, OPTION_STRING, data_dir, "DIR",
			  "where the orchestrator keeps its data"),
	CLI_JSON_OPTION,
	CLI_HELP_OPTION,
};

struct wal_command {
	const struct wal_options *options;
	char dir[PATH_MAX + 8];
	struct wal_filter filter;
	struct wal_reader *reader;
};

/* --- the log -------------------------------------------------------------- */

static int wal_cannot_read(const struct wal_command *c, int r)
{
	if (r == -ENOENT)
		output_error("there is no log in %s; name the orchestrator's "
			     "data directory with --data-dir",
			     c->dir);
	else
		output_error("cannot read the log in %s: %s", c->dir,
			     strerror(-r));
	return CLI_USAGE;
}

/* A type that is misspelt would look like a log without such records. */
static int wal_check_types(const struct option_list *types)
{
	char known[WAL_TYPES_TEXT_BYTES];
	size_t len = 0;

	for (size_t i = 0; i < WAL_UNKNOWN; i++)
		len += (size_t)snprintf(known + len, sizeof(known) - len,
					"%s%s", i ? ", " : "",
					wal_type_name((enum wal_type)i));
	for (size_t i = 0; i < types->n; i++) {
		if (wal_type_parse(types->items[i]) != WAL_UNKNOWN)
			continue;
		output_error("--type %s: there is no such type of record; "
			     "there are %s",
			     types->items[i], known);
		return CLI_USAGE;
	}
	return CLI_OK;
}

/* from: the first record that is wanted. Returns CLI_*. */
static int wal_open_reader(struct wal_command *c, uint64_t from)
{
	int r = wal_reader_new(&c->reader, c->dir, from);

	return r < 0 ? wal_cannot_read(c, r) : CLI_OK;
}

static void wal_close_reader(struct wal_command *c)
{
	wal_reader_free(c->reader);
	c->reader = NULL;
}

static int wal_init(struct wal_command *c, const struct wal_options *o)
{
	struct place place;

	if (wal_check_types(&o->types) != CLI_OK ||
	    place_find(&place, &o->globals) < 0)
		return CLI_USAGE;
	*c = (struct wal_command){
		.options = o,
		.filter = { .job = o->job,
			    .execution = o->execution,
			    .types = o->types.items,
			    .n_types = o->types.n },
	};
	if (o->since_ms)
		c->filter.since_ms = clock_wall_ms() - (int64_t)o->since_ms;
	snprintf(c->dir, sizeof(c->dir), "%s/" WAL_DIR_NAME, place.data);
	return CLI_OK;
}

/* Hands out what there is now: records that match, and damage. 0 or negative
 * errno. */
static int wal_each(struct wal_command *c,
		    void (*on_item)(struct wal_command *c,
				    const struct wal_item *item,
				    const struct wal_record *record, void *ctx),
		    void *ctx)
{
	struct wal_item item;
	int r;

	while (!(r = wal_reader_next(c->reader, &item)) && !ferror(stdout)) {
		struct wal_record record = { 0 };

		if (!item.damage.kind) {
			r = wal_record_decode(item.line, item.len, &record);
			if (r == -ENOMEM)
				return r;
			if (r < 0)
				wal_item_damage(&item, &item.damage);
		}
		if (item.damage.kind || wal_filter_matches(&c->filter, &record))
			on_item(c, &item, &record, ctx);
		wal_record_deinit(&record);
	}
	return r == WAL_READ_E_END ? 0 : r;
}

static void wal_show_item(struct wal_command *c, const struct wal_item *item,
			  const struct wal_record *record, void *ctx)
{
	if (item->damage.kind)
		wal_view_damage(&item->damage, c->options->globals.json);
	else
		wal_view_record(item, record, c->options->globals.json);
}

static int wal_show_all(struct wal_command *c)
{
	int r = wal_each(c, wal_show_item, NULL);

	fflush(stdout);
	return r < 0 ? wal_cannot_read(c, r) : CLI_OK;
}

/* --- show ----------------------------------------------------------------- */

static int wal_show(struct api *api, const void *options, char **words)
{
	struct wal_command c;
	int exit_code = wal_init(&c, options);

	if (exit_code == CLI_OK)
		exit_code = wal_open_reader(&c, 0);
	if (exit_code != CLI_OK)
		return exit_code;
	if (!c.options->globals.json)
		wal_view_head();
	exit_code = wal_show_all(&c);
	wal_close_reader(&c);
	return exit_code;
}

/* --- verify --------------------------------------------------------------- */

struct wal_verdict {
	uint64_t records, first, last, damages;
	uint64_t segments, bytes;
	bool writer;  /* somebody writes it */
	json_t *list; /* of what is damaged */
};

static void wal_count_damage(struct wal_verdict *v, const struct wal_damage *d)
{
	if (d->kind != WAL_DAMAGE_SET_ASIDE)
		v->damages++;
	if (json_array_size(v->list) < WAL_DAMAGES_MAX)
		json_array_append_new(v->list, wal_view_damage_json(d));
}

struct wal_aliens {
	const struct wal_command *command;
	struct wal_verdict *verdict;
};

static void wal_verify_alien(const struct wal_alien *a, void *ctx)
{
	const struct wal_aliens *w = ctx;
	char text[WAL_ALIEN_TEXT_BYTES];

	if (wal_alien_blocks(a))
		w->verdict->damages++;
	if (json_array_size(w->verdict->list) < WAL_DAMAGES_MAX)
		json_array_append_new(w->verdict->list, wal_view_alien_json(a));
	if (w->command->options->globals.json)
		return;
	wal_alien_text(a, text, sizeof(text));
	output_warn("%s%s", text,
		    wal_alien_blocks(a) ? ": no orchestrator starts before it "
					  "is moved away"
					: "");
}

static void wal_verify_item(struct wal_command *c, const struct wal_item *item,
			    const struct wal_record *record, void *ctx)
{
	struct wal_verdict *v = ctx;

	if (item->damage.kind) {
		wal_count_damage(v, &item->damage);
		if (!c->options->globals.json)
			wal_view_damage(&item->damage, false);
		return;
	}
	if (!v->records++)
		v->first = item->seq;
	v->last = item->seq;
}

/* Whether somebody holds its lock. */
static bool wal_is_written(const struct wal_command *c)
{
	char path[sizeof(c->dir) + 8];
	_cleanup_close_ int fd = -1;

	snprintf(path, sizeof(path), "%s/" WAL_LOCK_NAME, c->dir);
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	return fd >= 0 && file_lock(fd, 0) == -EBUSY;
}

/* The end is no whole record: so it is for a moment while it is written, and
 * after a crash until the next start. */
static void wal_verify_tail(struct wal_command *c, struct wal_verdict *v)
{
	struct wal_damage tail;

	if (!wal_reader_tail(c->reader, &tail))
		return;
	v->writer = wal_is_written(c);
	if (v->writer)
		return;
	wal_count_damage(v, &tail);
	if (!c->options->globals.json)
		wal_view_damage(&tail, false);
}

static int wal_count_segments(int fd, struct wal_verdict *v)
{
	_cleanup_free_ struct wal_segment *segments = NULL;
	size_t n = 0;
	int r = wal_dir_list(fd, &segments, &n);

	v->segments = n;
	for (size_t i = 0; i < n; i++)
		v->bytes += segments[i].bytes;
	return r;
}

static void wal_print_verdict(const struct wal_command *c,
			      const struct wal_verdict *v)
{
	_cleanup_json_ json_t *o = json_pack(
		"{s:b, s:I, s:I, s:I, s:I, s:I, s:I, s:O}", "whole",
		!v->damages, "segments", (json_int_t)v->segments, "bytes",
		(json_int_t)v->bytes, "records", (json_int_t)v->records,
		"first", (json_int_t)v->first, "last", (json_int_t)v->last,
		"damages", (json_int_t)v->damages, "damage", v->list);

	if (c->options->globals.json) {
		if (o)
			output_json(o);
		return;
	}
	output_text("%s: %llu segment%s, %llu bytes, %llu record%s, %llu to "
		    "%llu\n",
		    c->dir, (unsigned long long)v->segments,
		    v->segments == 1 ? "" : "s", (unsigned long long)v->bytes,
		    (unsigned long long)v->records, v->records == 1 ? "" : "s",
		    (unsigned long long)v->first, (unsigned long long)v->last);
	if (v->damages)
		output_text("damaged: %llu place%s, above\n",
			    (unsigned long long)v->damages,
			    v->damages == 1 ? "" : "s");
	else
		output_text("whole\n");
}

static int wal_verify_all(struct wal_command *c, struct wal_verdict *v)
{
	struct wal_aliens aliens = { c, v };
	_cleanup_close_ int fd = open(c->dir,
				      O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int r = fd < 0 ? -errno : wal_alien_each(fd, wal_verify_alien, &aliens);

	if (!r)
		r = wal_each(c, wal_verify_item, v);
	if (!r) {
		wal_verify_tail(c, v);
		r = wal_count_segments(fd, v);
	}
	if (r < 0)
		return wal_cannot_read(c, r);
	wal_print_verdict(c, v);
	return v->damages ? CLI_FAILED : CLI_OK;
}

static int wal_verify(struct api *api, const void *options, char **words)
{
	struct wal_verdict v = { .list = json_array() };
	struct wal_command c;
	int exit_code = wal_init(&c, options);

	c.filter = (struct wal_filter){ 0 };
	if (exit_code == CLI_OK)
		exit_code = wal_open_reader(&c, 0);
	if (exit_code == CLI_OK) {
		exit_code = wal_verify_all(&c, &v);
		wal_close_reader(&c);
	}
	json_decref(v.list);
	return exit_code;
}

/* --- tail ----------------------------------------------------------------- */

/* The numbers of the last records that match. */
struct wal_last {
	uint64_t *seqs; /* a ring */
	size_t size, n;
};

static void wal_remember(struct wal_command *c, const struct wal_item *item,
			 const struct wal_record *record, void *ctx)
{
	struct wal_last *last = ctx;

	if (!item->damage.kind)
		last->seqs[last->n++ % last->size] = item->seq;
}

/* Where to begin, so that the last n that match come, and nothing else:
 * *from. Returns CLI_*. */
static int wal_find_last(struct wal_command *c, uint64_t n, uint64_t *from)
{
	struct wal_last last = { .size = n };
	uint32_t crc;
	int r;

	last.seqs = calloc(n + 1, sizeof(*last.seqs));
	if (!last.seqs)
		return wal_cannot_read(c, -ENOMEM);
	r = wal_open_reader(c, 0);
	if (r != CLI_OK) {
		free(last.seqs);
		return r;
	}
	last.size = MAX(n, 1);
	r = wal_each(c, wal_remember, &last);
	*from = wal_reader_last(c->reader, &crc) + 1;
	if (n && last.n)
		*from = last.seqs[last.n > n ? last.n % n : 0];
	wal_close_reader(c);
	free(last.seqs);
	return r < 0 ? wal_cannot_read(c, r) : CLI_OK;
}

/* Until something in the directory changes; not for ever. */
static void wal_wait(int watch)
{
	struct pollfd p = { .fd = watch, .events = POLLIN };
	char events[4096];

	if (poll(&p, 1, WAL_POLL_MS) > 0 &&
	    read(watch, events, sizeof(events)) < 0)
		usleep(WAL_POLL_MS * 1000); /* it will not tell more */
}

static int wal_follow(struct wal_command *c)
{
	_cleanup_close_ int watch = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
	int exit_code = CLI_OK;

	/* Without it the files are looked at once a second. */
	if (watch >= 0 &&
	    inotify_add_watch(watch, c->dir, IN_MODIFY | IN_MOVED_TO) < 0)
		output_note("cannot watch %s: %s", c->dir, strerror(errno));
	while (exit_code == CLI_OK && !ferror(stdout)) {
		exit_code = wal_show_all(c);
		if (exit_code == CLI_OK && !ferror(stdout))
			wal_wait(watch);
	}
	return exit_code;
}

static int wal_tail(struct api *api, const void *options, char **words)
{
	struct wal_command c;
	uint64_t from;
	int exit_code = wal_init(&c, options);

	if (exit_code == CLI_OK && c.options->lines > WAL_TAIL_MAX) {
		output_error("--lines %llu: give %d at most",
			     (unsigned long long)c.options->lines,
			     WAL_TAIL_MAX);
		exit_code = CLI_USAGE;
	}
	if (exit_code == CLI_OK)
		exit_code = wal_find_last(&c, c.options->lines, &from);
	if (exit_code == CLI_OK)
		exit_code = wal_open_reader(&c, from);
	if (exit_code != CLI_OK)
		return exit_code;
	exit_code = c.options->follow ? wal_follow(&c) : wal_show_all(&c);
	wal_close_reader(&c);
	return exit_code;
}

static const struct verb wal_verbs[] = {
	{ "show", "", 0, 0, true, wal_show },
	{ "verify", "", 0, 0, true, wal_verify },
	{ "tail", "", 0, 0, true, wal_tail },
};

static int wal_run(const void *options, char **words, size_t n_words)
{
	return verb_run("wal", wal_verbs, ARRAY_SIZE(wal_verbs), options, words,
			n_words);
}

static void wal_free_options(void *options)
{
	struct wal_options *o = options;

	free(o->types.items);
}

const struct command command_wal = {
	.name = "wal",
	.words = "show | verify | tail",
	.summary = "What the orchestrator did with each execution, from its "
		   "log",
	.details =
		"Reads DATA/wal, also while it is written. `verify` ends with "
		"0 where the log is whole, with 1\nwhere it is damaged, and "
		"says in which file, at which offset, and which records are "
		"missing.\nThere is 2 where there is no log.\n",
	.options = wal_specs,
	.n_options = ARRAY_SIZE(wal_specs),
	.options_bytes = sizeof(struct wal_options),
	.words_min = 1,
	.words_max = 1,
	.run = wal_run,
	.free_options = wal_free_options,
};
