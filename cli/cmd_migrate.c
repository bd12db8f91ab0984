/* cronium migrate: scripts of the old helpers, for the SDKs. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "cli/command.h"
#include "cli/migrate.h"
#include "cli/migrate_diff.h"
#include "cli/output.h"
#include "common/buf.h"
#include "common/file.h"

#define MIGRATE_HUMAN 3 /* something is left for a human */

struct migrate_options {
	struct cli_globals globals;
	bool write;
};

static const struct option_spec migrate_specs[] = {
	CLI_OPTION("write", 'w', OPTION_FLAG, struct migrate_options, write,
		   NULL, NULL, "change the files; without it nothing is"),
	CLI_HELP_OPTION,
};

struct source {
	const char *file;
	struct buf text;
	struct stat st;
	enum migrate_language language;
};

static int read_source(struct source *s)
{
	_cleanup_close_ int fd = open(s->file, O_RDONLY | O_CLOEXEC);

	if (fd < 0 || fstat(fd, &s->st) < 0)
		return -errno;
	if (!S_ISREG(s->st.st_mode))
		return S_ISDIR(s->st.st_mode) ? -EISDIR : -EINVAL;
	return file_read_all(fd, MIGRATE_TEXT_MAX_BYTES, &s->text);
}

/* 0, or negative errno after a message. */
static int load(struct source *s)
{
	int r = read_source(s);

	if (r == -EFBIG)
		output_error("%s: it has more than %d bytes", s->file,
			     MIGRATE_TEXT_MAX_BYTES);
	else if (r < 0)
		output_error("cannot read %s: %s", s->file, strerror(-r));
	if (r < 0)
		return r;
	r = migrate_language(s->file, (char *)s->text.data, s->text.len,
			     &s->language);
	if (r < 0)
		output_error("%s: is it Python, Node or Bash? Neither its name "
			     "nor its first line says",
			     s->file);
	return r;
}

/* Whether the old helper of a Python script lies beside it. */
static bool helper_beside(const struct source *s)
{
	const char *slash = strrchr(s->file, '/');
	int len = slash ? (int)(slash - s->file) + 1 : 0;
	char path[PATH_MAX];
	int n = snprintf(path, sizeof(path), "%.*scronium.py", len, s->file);

	return s->language == MIGRATE_PYTHON && n > 0 &&
	       (size_t)n < sizeof(path) && !access(path, F_OK);
}

/* A link is refused: the file that it leads to may be anybody's. */
static int replace(const struct source *s, const struct buf *text)
{
	struct stat st;
	int r;

	if (lstat(s->file, &st) < 0 ||
	    faccessat(AT_FDCWD, s->file, W_OK, AT_EACCESS) < 0)
		r = -errno;
	else if (S_ISLNK(st.st_mode))
		r = -ELOOP;
	else
		r = file_replace(s->file, text->data, text->len,
				 s->st.st_mode & 07777);
	if (r == -ELOOP)
		output_error("%s: it is a symbolic link; name the file that it "
			     "leads to",
			     s->file);
	else if (r < 0)
		output_error("cannot write %s: %s", s->file, strerror(-r));
	return r;
}

static int show(const struct source *s, const struct buf *text)
{
	int r = migrate_diff_print(s->file, text);

	if (r == -ENOENT)
		output_error("the program diff is missing; install diffutils");
	else if (r < 0)
		output_error("cannot compare %s: %s", s->file, strerror(-r));
	return r;
}

/* True where something is left to do. */
static bool tell_notes(const struct source *s, const struct migrate *m)
{
	bool human = false;

	for (size_t i = 0; i < m->n_notes; i++) {
		dprintf(STDERR_FILENO, "%s:%zu: %s%s\n", s->file,
			m->notes[i].line,
			m->notes[i].human ? "" : "note: ", m->notes[i].text);
		human |= m->notes[i].human;
	}
	return human;
}

static int migrate_one(const struct migrate_options *o, const char *file)
{
	struct source s = { .file = file };
	_cleanup_(buf_deinit) struct buf text = { 0 };
	struct migrate m = { 0 };
	int exit_code = CLI_USAGE, r = load(&s);
	bool changed = false;

	if (!r)
		r = migrate_text(&m, s.language, helper_beside(&s),
				 (char *)s.text.data, s.text.len, &text);
	if (r == -ENOMEM)
		output_error("out of memory");
	if (!r) {
		changed = text.len != s.text.len ||
			  (text.len &&
			   memcmp(text.data, s.text.data, text.len) != 0);
		if (changed)
			r = show(&s, &text);
	}
	if (!r && changed && o->write)
		r = replace(&s, &text);
	if (!r)
		exit_code = tell_notes(&s, &m)     ? MIGRATE_HUMAN
			    : changed && !o->write ? CLI_FAILED
						   : CLI_OK;
	migrate_deinit(&m);
	buf_deinit(&s.text);
	return exit_code;
}

/* What counts more: 0, 1, 3, 2. */
static int worse(int a, int b)
{
	if (a == CLI_USAGE || b == CLI_USAGE)
		return CLI_USAGE;
	return MAX(a, b);
}

static int migrate_command(const void *options, char **words, size_t n_words)
{
	int exit_code = CLI_OK;

	for (size_t i = 0; i < n_words; i++)
		exit_code = worse(exit_code, migrate_one(options, words[i]));
	return exit_code;
}

const struct command command_migrate = {
	.name = "migrate",
	.words = "FILE...",
	.summary = "Rewrites scripts of the old helpers for the SDKs",
	.details = "Prints what would change, as diff -u does; nothing is "
		   "changed without --write. Ends\nwith 0 where nothing is to "
		   "be done, or it was; 1 where there are differences; 3\n"
		   "where something is left for a human: FILE:LINE on stderr "
		   "says what.\n",
	.options = migrate_specs,
	.n_options = ARRAY_SIZE(migrate_specs),
	.options_bytes = sizeof(struct migrate_options),
	.words_min = 1,
	.words_max = SIZE_MAX,
	.run = migrate_command,
};
