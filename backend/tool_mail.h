/*
 * An email as SMTP wants it: who sends, who receives, and the head of the
 * message. What is not plain ASCII is encoded (RFC 2047), line breaks cannot
 * get in. Pure: the time is a parameter.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "common/macro.h"

struct tool_email;

#define TOOL_MAIL_ID_BYTES 256

struct tool_mail {
	char *sender;      /* "<a@b.org>" */
	char **recipients; /* of to, cc and bcc */
	size_t n_recipients;
	char **headers; /* "Subject: Hello", folded with CRLF; never Bcc */
	size_t n_headers;
};

/*
 * "<HEX@b.org>": the same for the same key of the same caller, so that a mail
 * that was sent twice is seen to be one; without a key it is a new one.
 * caller and key may be NULL. 0 or negative errno.
 */
int tool_mail_id(const struct tool_email *e, const char *caller,
		 const char *key, char out[TOOL_MAIL_ID_BYTES]) MUST_CHECK;

/* 0, -EINVAL where an address is none, or -ENOMEM. */
int tool_mail_make(const struct tool_email *e, const char *message_id,
		   int64_t now_s, struct tool_mail **out) MUST_CHECK;
void tool_mail_free(struct tool_mail *m);
