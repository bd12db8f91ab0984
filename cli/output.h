/*
 * What people see: messages and state on stderr, results on stdout. Colour and
 * progress only on a terminal (and not with NO_COLOR); nothing but the result
 * when piped.
 */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/macro.h"

void output_init(void);
/* stderr is a terminal: progress is worth showing. */
bool output_is_terminal(void);

/* "cronium: …" in red. What failed, with which value, what to do next. */
void output_error(const char *fmt, ...) PRINTF_LIKE(1, 2);
/* "cronium: …", always shown. */
void output_warn(const char *fmt, ...) PRINTF_LIKE(1, 2);
/* A dim line, on a terminal only. */
void output_note(const char *fmt, ...) PRINTF_LIKE(1, 2);

/* On stdout. What others wrote may be in it: see output_defuse(), which all of
 * the above do as well. */
void output_text(const char *fmt, ...) PRINTF_LIKE(1, 2);
/* In place: a ? for each byte of a control character, so that no text steers
 * the terminal. lines: line feeds and tabs stay. */
void output_defuse(char *text, bool lines);

/* The line at the bottom that says what is waited for, with the seconds once
 * it takes some; on a terminal only. output_status_tick() redraws it. */
void output_status(const char *fmt, ...) PRINTF_LIKE(1, 2);
void output_status_tick(void);
void output_status_clear(void);

/* All bytes to a descriptor, below the status line. -errno on failure. */
int output_bytes(int fd, const void *data, size_t len) MUST_CHECK;
/* A JSON value and a newline on stdout. */
void output_json(const json_t *value);

/* A state's name, coloured on a terminal. */
struct output_cell {
	char text[256];
	const char *colour; /* OUTPUT_*; NULL for none */
};
#define OUTPUT_RED "31"
#define OUTPUT_GREEN "32"
#define OUTPUT_YELLOW "33"
#define OUTPUT_DIM "2"

/* Columns as wide as their widest cell, on stdout. cells: rows * columns. */
void output_table(const char *const *heads, size_t columns,
		  const struct output_cell *cells, size_t rows);
/* One line of text in a colour, on stdout. */
void output_coloured(const char *colour, const char *text);

/* "3 s", "2 min 5 s", "4 h 10 min". */
const char *output_duration(int64_t ms, char *out, size_t size);
/* "2026-01-02 03:04:05", local time; "-" for 0. */
const char *output_time(int64_t wall_ms, char *out, size_t size);
