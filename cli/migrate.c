#include "cli/migrate.h"

#include <ctype.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/migrate_impl.h"
#include "common/buf.h"

/* --- which language ------------------------------------------------------- */

static bool ends_with(const char *s, const char *suffix)
{
	size_t len = strlen(s), n = strlen(suffix);

	return len >= n && !strcmp(s + len - n, suffix);
}

int migrate_language(const char *name, const char *text, size_t len,
		     enum migrate_language *out)
{
	static const struct {
		const char *suffix;
		enum migrate_language language;
	} suffixes[] = {
		{ ".py", MIGRATE_PYTHON }, { ".js", MIGRATE_NODE },
		{ ".cjs", MIGRATE_NODE },  { ".mjs", MIGRATE_NODE_MODULE },
		{ ".ts", MIGRATE_NODE },   { ".sh", MIGRATE_BASH },
		{ ".bash", MIGRATE_BASH },
	};
	static const struct {
		const char *word;
		enum migrate_language language;
	} programs[] = {
		{ "python", MIGRATE_PYTHON },
		{ "node", MIGRATE_NODE },
		{ "sh", MIGRATE_BASH },
	};
	const char *end = memchr(text, '\n', len);
	size_t first = end ? (size_t)(end - text) : len;

	for (size_t i = 0; i < ARRAY_SIZE(suffixes); i++)
		if (ends_with(name, suffixes[i].suffix)) {
			*out = suffixes[i].language;
			return 0;
		}
	if (first < 2 || memcmp(text, "#!", 2) != 0)
		return -EINVAL;
	for (size_t i = 0; i < ARRAY_SIZE(programs); i++)
		if (memmem(text, first, programs[i].word,
			   strlen(programs[i].word))) {
			*out = programs[i].language;
			return 0;
		}
	return -EINVAL;
}

/* --- edits and notes ------------------------------------------------------ */

static void *grow(void *items, size_t n, size_t size)
{
	if (n & (n - 1)) /* room is for 1, 2, 4, 8 … */
		return items;
	return reallocarray(items, n ? n * 2 : 1, size);
}

static PRINTF_LIKE(1, 0) char *format(const char *fmt, va_list ap)
{
	char *text;

	return vasprintf(&text, fmt, ap) < 0 ? NULL : text;
}

void migrate_replace(struct migrate *m, size_t start, size_t len,
		     const char *fmt, ...)
{
	struct migrate_edit *edits = grow(m->edits, m->n_edits, sizeof(*edits));
	va_list ap;
	char *text;

	va_start(ap, fmt);
	text = format(fmt, ap);
	va_end(ap);
	if (edits)
		m->edits = edits;
	if (!edits || !text) {
		free(text);
		m->out_of_memory = true;
		return;
	}
	m->n_edits++;
	edits[m->n_edits - 1] = (struct migrate_edit){ start, len, m->n_edits,
						       text };
}

static size_t line_of(const struct migrate *m, size_t offset)
{
	const char *p = m->text, *end = m->text + offset;
	size_t line = 1;

	while (p < end && (p = memchr(p, '\n', (size_t)(end - p)))) {
		line++;
		p++;
	}
	return line;
}

void migrate_say(struct migrate *m, size_t offset, bool human, const char *fmt,
		 ...)
{
	struct migrate_note *notes;
	va_list ap;
	char *text;

	if (m->n_notes == MIGRATE_NOTES_MAX)
		return;
	notes = grow(m->notes, m->n_notes, sizeof(*notes));
	va_start(ap, fmt);
	text = format(fmt, ap);
	va_end(ap);
	if (notes)
		m->notes = notes;
	if (!notes || !text) {
		free(text);
		m->out_of_memory = true;
		return;
	}
	notes[m->n_notes++] = (struct migrate_note){ line_of(m, offset), human,
						     text };
}

static int compare_edits(const void *a, const void *b)
{
	const struct migrate_edit *x = a, *y = b;

	if (x->start != y->start)
		return x->start < y->start ? -1 : 1;
	return x->order < y->order ? -1 : 1;
}

static int compare_notes(const void *a, const void *b)
{
	const struct migrate_note *x = a, *y = b;

	if (x->line != y->line)
		return x->line < y->line ? -1 : 1;
	return strcmp(x->text, y->text);
}

/* Once is enough. */
static void sort_notes(struct migrate *m)
{
	size_t n = 0;

	if (!m->n_notes)
		return;
	qsort(m->notes, m->n_notes, sizeof(*m->notes), compare_notes);
	for (size_t i = 0; i < m->n_notes; i++) {
		if (n && !compare_notes(&m->notes[n - 1], &m->notes[i]))
			free(m->notes[i].text);
		else
			m->notes[n++] = m->notes[i];
	}
	m->n_notes = n;
}

static int apply(struct migrate *m, struct buf *out)
{
	size_t at = 0;
	int r = 0;

	if (m->n_edits)
		qsort(m->edits, m->n_edits, sizeof(*m->edits), compare_edits);
	for (size_t i = 0; !r && i < m->n_edits; i++) {
		const struct migrate_edit *e = &m->edits[i];

		if (e->start < at) /* within one that is replaced */
			continue;
		r = buf_append(out, m->text + at, e->start - at);
		if (!r)
			r = buf_append_str(out, e->text);
		at = e->start + e->len;
	}
	return r ? r : buf_append(out, m->text + at, m->len - at);
}

/* --- the files of old ----------------------------------------------------- */

bool migrate_contains(const char *text, size_t len, const char *what)
{
	return memmem(text, len, what, strlen(what)) != NULL;
}

static bool is_name_char(char c)
{
	return isalnum((unsigned char)c) || c == '_' || c == '-';
}

void migrate_say_files(struct migrate *m, size_t start, size_t len,
		       enum migrate_language language)
{
	static const struct {
		const char *file, *python, *node, *bash;
	} files[] = {
		{ "input.json", "cronium.input()", "await cronium.getInput()",
		  "cronium_input" },
		{ "output.json", "cronium.output(value)",
		  "await cronium.setOutput(value)", "cronium_output VALUE" },
		{ "variables.json",
		  "cronium.get_variable(key), set_variable(key, value)",
		  "await cronium.getVariable(key), setVariable(key, value)",
		  "cronium_get_variable KEY, cronium_set_variable KEY VALUE" },
		{ "event.json", "cronium.get_event_context()",
		  "await cronium.getEventContext()",
		  "cronium_get_event_context" },
		{ "condition.json", "cronium.get_condition(), set_condition()",
		  "await cronium.getCondition(), setCondition()",
		  "cronium_get_condition, cronium_set_condition" },
	};
	const char *text = m->text + start, *found;

	for (size_t i = 0; i < ARRAY_SIZE(files); i++) {
		size_t n = strlen(files[i].file);

		found = memmem(text, len, files[i].file, n);
		if (!found || (found > text && is_name_char(found[-1])) ||
		    (found + n < text + len && is_name_char(found[n])))
			continue;
		migrate_say(m, start, true, "%s is not there any more: use %s",
			    files[i].file,
			    language == MIGRATE_PYTHON ? files[i].python
			    : language == MIGRATE_BASH ? files[i].bash
						       : files[i].node);
	}
}

/* --- all of it ------------------------------------------------------------ */

int migrate_text(struct migrate *m, enum migrate_language language,
		 bool helper_beside, const char *text, size_t len,
		 struct buf *out)
{
	*m = (struct migrate){ .text = text, .len = len };
	switch (language) {
	case MIGRATE_PYTHON:
		migrate_python(m, helper_beside);
		break;
	case MIGRATE_NODE:
	case MIGRATE_NODE_MODULE:
		migrate_node(m, language == MIGRATE_NODE_MODULE);
		break;
	case MIGRATE_BASH:
		migrate_bash(m);
		break;
	}
	sort_notes(m);
	return m->out_of_memory ? -ENOMEM : apply(m, out);
}

void migrate_deinit(struct migrate *m)
{
	for (size_t i = 0; i < m->n_notes; i++)
		free(m->notes[i].text);
	for (size_t i = 0; i < m->n_edits; i++)
		free(m->edits[i].text);
	free(m->notes);
	free(m->edits);
	*m = (struct migrate){ 0 };
}
