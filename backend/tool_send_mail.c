/* Email by libcurl's SMTP. */
#include <errno.h>
#include <string.h>

#include "backend/tool_mail.h"
#include "backend/tool_request.h"
#include "backend/tool_send_impl.h"
#include "common/clock.h"

/* Lines of a text end with CRLF in an email. */
static int text_canonical(const char *s, struct buf *out)
{
	for (; *s; s++) {
		if (*s == '\r' && s[1] == '\n')
			continue;
		if (*s == '\n' ? buf_append_str(out, "\r\n")
			       : buf_append(out, s, 1))
			return -ENOMEM;
	}
	return 0;
}

static int part_set_text(curl_mimepart *part, const char *type,
			 const char *text)
{
	_cleanup_(buf_deinit) struct buf body = { 0 };

	if (!part || text_canonical(text, &body))
		return -ENOMEM;
	if (curl_mime_data(part, body.len ? (char *)body.data : "", body.len) ||
	    curl_mime_type(part, type) ||
	    curl_mime_encoder(part, "quoted-printable"))
		return -ENOMEM;
	return 0;
}

static int part_set_both(curl_mimepart *part, CURL *easy,
			 const struct tool_email *e)
{
	curl_mime *both = curl_mime_init(easy);
	int r;

	if (!part || !both || curl_mime_subparts(part, both)) {
		curl_mime_free(both);
		return -ENOMEM;
	}
	if (curl_mime_type(part, "multipart/alternative"))
		return -ENOMEM;
	r = part_set_text(curl_mime_addpart(both), "text/plain; charset=utf-8",
			  e->text);
	if (!r)
		r = part_set_text(curl_mime_addpart(both),
				  "text/html; charset=utf-8", e->html);
	return r;
}

static int mail_set_body(struct tool_send *t, const struct tool_email *e)
{
	CURL *easy = t->transfer.easy;
	curl_mimepart *part;
	int r;

	t->mime = curl_mime_init(easy);
	if (!t->mime)
		return -ENOMEM;
	part = curl_mime_addpart(t->mime);
	if (e->text && e->html)
		r = part_set_both(part, easy, e);
	else if (e->html)
		r = part_set_text(part, "text/html; charset=utf-8", e->html);
	else
		r = part_set_text(part, "text/plain; charset=utf-8",
				  e->text ? e->text : "");
	curl_easy_setopt(easy, CURLOPT_MIMEPOST, t->mime);
	return r;
}

static int mail_set_envelope(struct tool_send *t, const struct tool_mail *m)
{
	CURL *easy = t->transfer.easy;

	for (size_t i = 0; i < m->n_recipients; i++)
		if (!tool_send_add_line(&t->recipients, m->recipients[i]))
			return -ENOMEM;
	for (size_t i = 0; i < m->n_headers; i++)
		if (!tool_send_add_line(&t->headers, m->headers[i]))
			return -ENOMEM;
	curl_easy_setopt(easy, CURLOPT_MAIL_FROM, m->sender);
	curl_easy_setopt(easy, CURLOPT_MAIL_RCPT, t->recipients);
	curl_easy_setopt(easy, CURLOPT_HTTPHEADER, t->headers);
	return 0;
}

int tool_send_prepare_mail(struct tool_send *t, const char *message_id)
{
	const struct tool_email *e = &t->request->email;
	CURL *easy = t->transfer.easy;
	struct tool_mail *mail;
	int r = tool_mail_make(e, message_id, clock_wall_s(), &mail);

	if (r)
		return r;
	r = mail_set_envelope(t, mail);
	tool_mail_free(mail);
	if (!r)
		r = mail_set_body(t, e);
	curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "smtp,smtps");
	curl_easy_setopt(easy, CURLOPT_FRESH_CONNECT, 1L);
	curl_easy_setopt(easy, CURLOPT_FORBID_REUSE, 1L);
	/* A password is never sent in the clear. */
	curl_easy_setopt(easy, CURLOPT_USE_SSL,
			 (long)(e->username ? CURLUSESSL_ALL : CURLUSESSL_TRY));
	if (e->username) {
		curl_easy_setopt(easy, CURLOPT_USERNAME, e->username);
		curl_easy_setopt(easy, CURLOPT_PASSWORD,
				 e->password ? e->password : "");
	}
	return r;
}

/* Until the message itself is under way nothing has happened; afterwards only
 * a reply of the server says that it was not taken. */
void tool_send_classify_mail(struct tool_send *t, CURLcode code,
			     struct tool_sent *sent)
{
	curl_off_t uploaded = 0;

	curl_easy_getinfo(t->transfer.easy, CURLINFO_SIZE_UPLOAD_T, &uploaded);
	if (code == CURLE_OK || sent->status >= 400)
		sent->result = TOOL_SEND_ANSWERED;
	else if (code == CURLE_USE_SSL_FAILED || code == CURLE_LOGIN_DENIED ||
		 code == CURLE_PEER_FAILED_VERIFICATION)
		sent->result = TOOL_SEND_WRONG;
	else
		sent->result = uploaded ? TOOL_SEND_BROKEN : TOOL_SEND_NOT_SENT;
}
