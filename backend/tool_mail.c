#include "backend/tool_mail.h"

#include <errno.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

#include "backend/tool_request.h"
#include "common/buf.h"
#include "common/hex.h"

#define MAIL_WORD_BYTES 45   /* of text in one encoded word: 60 of base64 */
#define MAIL_PLAIN_BYTES 200 /* a longer line is cut into encoded words */
#define MAIL_ID_BYTES 16

/* ---------------------------------------------------------- encoded words */

/* What may stand in a header as it is. */
static bool text_is_plain(const char *s, size_t len)
{
	if (len > MAIL_PLAIN_BYTES)
		return false;
	for (size_t i = 0; i < len; i++)
		if (s[i] < 0x20 || s[i] > 0x7e ||
		    (s[i] == '=' && i + 1 < len && s[i + 1] == '?'))
			return false;
	return true;
}

/* How much of the text fits into one word without cutting a character. */
static size_t word_length(const char *s, size_t len)
{
	size_t n = MIN(len, MAIL_WORD_BYTES);

	while (n < len && n > 1 && ((unsigned char)s[n] & 0xc0) == 0x80)
		n--;
	return n;
}

static int append_words(struct buf *b, const char *s, size_t len)
{
	uint8_t base64[4 * (MAIL_WORD_BYTES + 2) / 3 + 1];

	for (size_t n; len; s += n, len -= n) {
		n = word_length(s, len);
		EVP_EncodeBlock(base64, (const uint8_t *)s, (int)n);
		if (buf_printf(b, "=?UTF-8?B?%s?=%s", (char *)base64,
			       n < len ? "\r\n " : ""))
			return -ENOMEM;
	}
	return 0;
}

static int append_text(struct buf *b, const char *s, size_t len)
{
	return text_is_plain(s, len) ? buf_append(b, s, len)
				     : append_words(b, s, len);
}

/* --------------------------------------------------------------- addresses */

/* The name before an address, without its quotes. */
static int name_take(const char *s, size_t len, struct buf *out)
{
	bool quoted;

	while (len && (s[len - 1] == ' ' || s[len - 1] == '\t'))
		len--;
	while (len && (*s == ' ' || *s == '\t'))
		s++, len--;
	quoted = len >= 2 && s[0] == '"' && s[len - 1] == '"';
	if (quoted)
		s++, len -= 2;
	for (size_t i = 0; i < len; i++) {
		if (quoted && s[i] == '\\' && i + 1 < len)
			i++;
		if (buf_append(out, s + i, 1))
			return -ENOMEM;
	}
	return 0;
}

/* As a quoted string, or as encoded words, which must not be quoted. */
static int append_name(struct buf *b, const struct buf *name)
{
	const char *s = (const char *)name->data;
	int r;

	if (!text_is_plain(s, name->len))
		return append_words(b, s, name->len);
	r = buf_append_str(b, "\"");
	for (size_t i = 0; !r && i < name->len; i++) {
		if (s[i] == '"' || s[i] == '\\')
			r = buf_append_str(b, "\\");
		if (!r)
			r = buf_append(b, s + i, 1);
	}
	return r ? r : buf_append_str(b, "\"");
}

/* "Ann <a@b.org>" with the name encoded. */
static int append_mailbox(struct buf *b, const char *text)
{
	_cleanup_(buf_deinit) struct buf name = { 0 };
	const char *address, *bracket = strrchr(text, '<');
	size_t len;

	if (!tool_email_address(text, &address, &len))
		return -EINVAL;
	if (!bracket || bracket > address)
		return buf_append(b, address, len);
	if (name_take(text, (size_t)(bracket - text), &name))
		return -ENOMEM;
	if (name.len && (append_name(b, &name) || buf_append_str(b, " ")))
		return -ENOMEM;
	return buf_printf(b, "<%.*s>", (int)len, address);
}

/* ------------------------------------------------------------------ lines */

static int list_add(char ***list, size_t *n, struct buf *text)
{
	char **grown = reallocarray(*list, *n + 1, sizeof(*grown));
	char *s;

	if (!grown)
		return -ENOMEM;
	*list = grown;
	s = buf_take(text, NULL);
	if (!s)
		return -ENOMEM;
	grown[(*n)++] = s;
	return 0;
}

static int add_mailboxes(struct tool_mail *m, const char *header,
			 char *const *items, size_t n)
{
	_cleanup_(buf_deinit) struct buf line = { 0 };
	int r = buf_printf(&line, "%s: ", header);

	for (size_t i = 0; !r && i < n; i++) {
		r = append_mailbox(&line, items[i]);
		if (!r && i + 1 < n)
			r = buf_append_str(&line, ",\r\n ");
	}
	if (!r && n)
		r = list_add(&m->headers, &m->n_headers, &line);
	return r;
}

static int add_line(struct tool_mail *m, const char *header, const char *value)
{
	_cleanup_(buf_deinit) struct buf line = { 0 };

	if (buf_printf(&line, "%s: ", header) ||
	    append_text(&line, value, strlen(value)))
		return -ENOMEM;
	return list_add(&m->headers, &m->n_headers, &line);
}

static int add_date(struct tool_mail *m, int64_t now_s)
{
	static const char days[] = "SunMonTueWedThuFriSat";
	static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
	time_t now = (time_t)now_s;
	char text[64];
	struct tm t;

	gmtime_r(&now, &t);
	snprintf(text, sizeof(text), "%.3s, %02d %.3s %d %02d:%02d:%02d +0000",
		 days + 3 * t.tm_wday, t.tm_mday, months + 3 * t.tm_mon,
		 t.tm_year + 1900, t.tm_hour, t.tm_min, t.tm_sec);
	return add_line(m, "Date", text);
}

static int add_recipients(struct tool_mail *m, char *const *items, size_t n)
{
	_cleanup_(buf_deinit) struct buf text = { 0 };
	const char *address;
	size_t len;

	for (size_t i = 0; i < n; i++) {
		if (!tool_email_address(items[i], &address, &len))
			return -EINVAL;
		if (buf_printf(&text, "<%.*s>", (int)len, address) ||
		    list_add(&m->recipients, &m->n_recipients, &text))
			return -ENOMEM;
	}
	return 0;
}

static int mail_envelope(struct tool_mail *m, const struct tool_email *e)
{
	const char *address;
	size_t len;
	int r;

	if (!tool_email_address(e->from, &address, &len))
		return -EINVAL;
	if (asprintf(&m->sender, "<%.*s>", (int)len, address) < 0)
		return -ENOMEM;
	r = add_recipients(m, e->to, e->n_to);
	if (!r)
		r = add_recipients(m, e->cc, e->n_cc);
	return r ? r : add_recipients(m, e->bcc, e->n_bcc);
}

static int mail_head(struct tool_mail *m, const struct tool_email *e,
		     const char *message_id, int64_t now_s)
{
	int r = add_date(m, now_s);

	if (!r)
		r = add_mailboxes(m, "From", &e->from, 1);
	if (!r)
		r = add_mailboxes(m, "To", e->to, e->n_to);
	if (!r)
		r = add_mailboxes(m, "Cc", e->cc, e->n_cc);
	if (!r && e->reply_to)
		r = add_mailboxes(m, "Reply-To", &e->reply_to, 1);
	if (!r)
		r = add_line(m, "Subject", e->subject);
	return r ? r : add_line(m, "Message-ID", message_id);
}

int tool_mail_make(const struct tool_email *e, const char *message_id,
		   int64_t now_s, struct tool_mail **out)
{
	struct tool_mail *m = calloc(1, sizeof(*m));
	int r;

	if (!m)
		return -ENOMEM;
	r = mail_envelope(m, e);
	if (!r)
		r = mail_head(m, e, message_id, now_s);
	if (r) {
		tool_mail_free(m);
		return r;
	}
	*out = m;
	return 0;
}

void tool_mail_free(struct tool_mail *m)
{
	if (!m)
		return;
	for (size_t i = 0; i < m->n_recipients; i++)
		free(m->recipients[i]);
	for (size_t i = 0; i < m->n_headers; i++)
		free(m->headers[i]);
	free(m->recipients);
	free(m->headers);
	free(m->sender);
	free(m);
}

/* ---------------------------------------------------------------- identity */

static int id_digest(const char *caller, const char *key, uint8_t *out)
{
	_cleanup_(buf_deinit) struct buf text = { 0 };
	uint8_t digest[EVP_MAX_MD_SIZE];

	if (buf_printf(&text, "%s\n%s", caller ? caller : "", key))
		return -ENOMEM;
	if (EVP_Digest(text.data, text.len, digest, NULL, EVP_sha256(), NULL) !=
	    1)
		return -ENOMEM;
	memcpy(out, digest, MAIL_ID_BYTES);
	return 0;
}

int tool_mail_id(const struct tool_email *e, const char *caller,
		 const char *key, char out[TOOL_MAIL_ID_BYTES])
{
	uint8_t id[MAIL_ID_BYTES];
	char text[2 * MAIL_ID_BYTES + 1] = "";
	const char *address, *at;
	size_t len;
	int r = 0;

	if (!tool_email_address(e->from, &address, &len))
		return -EINVAL;
	at = memchr(address, '@', len);
	if (!at)
		return -EINVAL;
	if (key)
		r = id_digest(caller, key, id);
	else if (getrandom(id, sizeof(id), 0) != sizeof(id))
		r = -EIO;
	if (r)
		return r;
	hex_encode(id, sizeof(id), text);
	snprintf(out, TOOL_MAIL_ID_BYTES, "<%s@%.*s>", text,
		 (int)MIN(len - (size_t)(at + 1 - address),
			  TOOL_MAIL_ID_BYTES - sizeof(text) - 4),
		 at + 1);
	return 0;
}
