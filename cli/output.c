#include "cli/output.h"

#include <errno.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "common/clock.h"

#define OUTPUT_STATUS_MAX_BYTES 160

static struct {
	bool colour_out, colour_err, terminal;
	char status[OUTPUT_STATUS_MAX_BYTES];
	uint64_t status_since_ms;
	unsigned int status_seconds; /* as shown */
	bool status_shown;
	bool mid_line; /* the last byte on stderr was no newline */
} output;

static bool output_wants_colour(int fd)
{
	const char *term = getenv("TERM"), *no = getenv("NO_COLOR");

	return isatty(fd) && !(no && *no) && term && strcmp(term, "dumb") != 0;
}

void output_init(void)
{
	output.terminal = isatty(STDERR_FILENO);
	output.colour_err = output_wants_colour(STDERR_FILENO);
	output.colour_out = output_wants_colour(STDOUT_FILENO);
}

bool output_is_terminal(void)
{
	return output.terminal;
}

static PRINTF_LIKE(3, 0) void output_line(const char *colour,
					  const char *prefix, const char *fmt,
					  va_list ap)
{
	bool on = output.colour_err && colour;
	_cleanup_free_ char *text = NULL;

	if (vasprintf(&text, fmt, ap) < 0)
		text = NULL;
	if (text)
		output_defuse(text, true);
	output_status_clear();
	if (output.mid_line && output.terminal)
		dprintf(STDERR_FILENO, "\n");
	output.mid_line = false;
	if (on)
		dprintf(STDERR_FILENO, "\033[%sm%s", colour, prefix);
	else
		dprintf(STDERR_FILENO, "%s", prefix);
	dprintf(STDERR_FILENO, "%s", text ? text : "out of memory");
	dprintf(STDERR_FILENO, on ? "\033[0m\n" : "\n");
}

void output_error(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	output_line(OUTPUT_RED, "cronium: ", fmt, ap);
	va_end(ap);
}

void output_warn(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	output_line(OUTPUT_YELLOW, "cronium: ", fmt, ap);
	va_end(ap);
}

void output_note(const char *fmt, ...)
{
	va_list ap;

	if (!output.terminal)
		return;
	va_start(ap, fmt);
	output_line(OUTPUT_DIM, "· ", fmt, ap);
	va_end(ap);
}

/* --- text of others ------------------------------------------------------ */

/* What a terminal would take for an order: C0 and C1 control characters. */
void output_defuse(char *text, bool lines)
{
	unsigned char *p = (unsigned char *)text;

	for (; *p; p++) {
		if (*p == 0xc2 && p[1] >= 0x80 && p[1] <= 0x9f)
			p[0] = p[1] = '?';
		else if ((*p < 0x20 && !(lines && strchr("\n\t", *p))) ||
			 *p == 0x7f)
			*p = '?';
	}
}

void output_text(const char *fmt, ...)
{
	char *text;
	va_list ap;

	va_start(ap, fmt);
	if (vasprintf(&text, fmt, ap) < 0)
		text = NULL;
	va_end(ap);
	if (!text)
		return;
	output_defuse(text, true);
	fputs(text, stdout);
	free(text);
}

/* --- the status line ----------------------------------------------------- */

void output_status(const char *fmt, ...)
{
	char text[OUTPUT_STATUS_MAX_BYTES];
	va_list ap;

	if (!output.terminal)
		return;
	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	output_defuse(text, false);
	if (!strcmp(text, output.status))
		return;
	output_status_clear();
	memcpy(output.status, text, sizeof(text));
	output.status_since_ms = clock_mono_ms();
	output_status_tick();
}

void output_status_tick(void)
{
	uint64_t waited = clock_mono_ms() - output.status_since_ms;
	unsigned int seconds = (unsigned int)(waited / 1000);

	if (!output.status[0] ||
	    (output.status_shown && seconds == output.status_seconds))
		return;
	output.status_seconds = seconds;
	if (output.mid_line)
		dprintf(STDERR_FILENO, "\n");
	output.mid_line = false;
	dprintf(STDERR_FILENO, "\r\033[K%s· %s",
		output.colour_err ? "\033[2m" : "", output.status);
	if (seconds)
		dprintf(STDERR_FILENO, " (%u s)", seconds);
	dprintf(STDERR_FILENO, output.colour_err ? "\033[0m" : "");
	output.status_shown = true;
}

void output_status_clear(void)
{
	if (output.status_shown)
		dprintf(STDERR_FILENO, "\r\033[K");
	output.status_shown = false;
	output.status[0] = '\0';
}

/* --- results ------------------------------------------------------------- */

int output_bytes(int fd, const void *data, size_t len)
{
	const uint8_t *p = data;

	if (!len)
		return 0;
	output_status_clear();
	if (isatty(fd))
		output.mid_line = p[len - 1] != '\n';
	while (len) {
		ssize_t n = write(fd, p, len);

		if (n < 0 && errno == EAGAIN) {
			struct pollfd pfd = { .fd = fd, .events = POLLOUT };

			poll(&pfd, 1, -1);
			continue;
		}
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		p += n;
		len -= (size_t)n;
	}
	return 0;
}

void output_json(const json_t *value)
{
	_cleanup_free_ char *text = json_dumps(
		value, JSON_ENCODE_ANY | (output.colour_out ? JSON_INDENT(2)
							    : JSON_COMPACT));

	puts(text ? text : "null");
}

void output_coloured(const char *colour, const char *text)
{
	if (output.colour_out && colour)
		printf("\033[%sm%s\033[0m", colour, text);
	else
		printf("%s", text);
}

/* Columns on a terminal, not bytes: UTF-8 continuation bytes take none. */
static size_t output_width(const char *s)
{
	size_t n = 0;

	for (; *s; s++)
		n += ((unsigned char)*s & 0xc0) != 0x80;
	return n;
}

static void output_cell(const char *colour, const char *text, size_t width,
			bool last)
{
	output_coloured(colour, text);
	if (!last)
		printf("%*s", (int)(width - output_width(text) + 2), "");
}

void output_table(const char *const *heads, size_t columns,
		  const struct output_cell *cells, size_t rows)
{
	size_t widths[16] = { 0 };

	columns = MIN(columns, ARRAY_SIZE(widths));
	for (size_t c = 0; c < columns; c++) {
		widths[c] = output_width(heads[c]);
		for (size_t r = 0; r < rows; r++)
			widths[c] = MAX(widths[c],
					output_width(
						cells[r * columns + c].text));
	}
	for (size_t c = 0; c < columns; c++)
		output_cell(OUTPUT_DIM, heads[c], widths[c], c + 1 == columns);
	putchar('\n');
	for (size_t r = 0; r < rows; r++) {
		for (size_t c = 0; c < columns; c++) {
			struct output_cell cell = cells[r * columns + c];

			output_defuse(cell.text, false);
			output_cell(cell.colour, cell.text, widths[c],
				    c + 1 == columns);
		}
		putchar('\n');
	}
}

const char *output_duration(int64_t ms, char *out, size_t size)
{
	int64_t s = ms / 1000;

	if (ms < 0)
		snprintf(out, size, "-");
	else if (ms < 1000)
		snprintf(out, size, "%d ms", (int)ms);
	else if (s < 60)
		snprintf(out, size, "%d.%d s", (int)s, (int)(ms % 1000 / 100));
	else if (s < 3600)
		snprintf(out, size, "%d min %d s", (int)(s / 60),
			 (int)(s % 60));
	else
		snprintf(out, size, "%lld h %d min", (long long)(s / 3600),
			 (int)(s % 3600 / 60));
	return out;
}

const char *output_time(int64_t wall_ms, char *out, size_t size)
{
	time_t t = (time_t)(wall_ms / 1000);
	struct tm tm;

	if (!wall_ms || !localtime_r(&t, &tm) ||
	    !strftime(out, size, "%Y-%m-%d %H:%M:%S", &tm))
		snprintf(out, size, "-");
	return out;
}
