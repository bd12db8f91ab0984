/* Inside of migrate*.c. */
#pragma once

#include "cli/migrate.h"

enum migrate_kind {
	MIGRATE_WORD, /* an identifier or keyword */
	MIGRATE_STRING,
	MIGRATE_TEMPLATE, /* a string that has code in it */
	MIGRATE_NUMBER,
	MIGRATE_PUNCT, /* one character, or => ?. ** ... */
};

/* White space and comments are no tokens. */
struct migrate_token {
	enum migrate_kind kind;
	size_t start, len;
};

struct migrate_tokens {
	const char *text;
	struct migrate_token *items;
	size_t n;
};

/* 0, -ENOMEM, or -EINVAL: it cannot be read from *at on. */
int migrate_lex_python(const char *text, size_t len, struct migrate_tokens *out,
		       size_t *at) MUST_CHECK;
int migrate_lex_node(const char *text, size_t len, struct migrate_tokens *out,
		     size_t *at) MUST_CHECK;
int migrate_tokens_add(struct migrate_tokens *t, enum migrate_kind kind,
		       size_t start, size_t end) MUST_CHECK;
void migrate_tokens_deinit(struct migrate_tokens *t);

/* Beyond the last there is nothing. */
bool migrate_is(const struct migrate_tokens *t, size_t i, const char *text);
bool migrate_is_word(const struct migrate_tokens *t, size_t i);
/* Whether the token is the first on its line. */
bool migrate_begins_line(const struct migrate_tokens *t, size_t i);
/* The token that closes the bracket at i; n where none does. */
size_t migrate_closing(const struct migrate_tokens *t, size_t i);
/* How many arguments the call has whose ( is at i; a trailing comma is none. */
size_t migrate_count_arguments(const struct migrate_tokens *t, size_t i);

/* text replaces len bytes at start. */
void migrate_replace(struct migrate *m, size_t start, size_t len,
		     const char *fmt, ...) PRINTF_LIKE(4, 5);
void migrate_say(struct migrate *m, size_t offset, bool human, const char *fmt,
		 ...) PRINTF_LIKE(4, 5);
/* Notes for strings that name the files of old. */
void migrate_say_files(struct migrate *m, size_t start, size_t len,
		       enum migrate_language language);
/* Notes for code within strings. names: of functions, the last is NULL. */
bool migrate_contains(const char *text, size_t len, const char *what);

void migrate_python(struct migrate *m, bool helper_beside);
void migrate_node(struct migrate *m, bool is_module);
void migrate_bash(struct migrate *m);
