#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "backend/tool_format.h"
#include "backend/tool_json.h"
#include "backend/tool_request_check.h"
#include "backend/tool_request_impl.h"
#include "backend/tool_violations.h"
#include "common/json.h"

#define TOOL_EMAIL_NAME_MAX_BYTES 200

bool tool_email_address(const char *text, const char **start, size_t *len)
{
	size_t n = strlen(text);
	const char *open = strrchr(text, '<');

	*start = text;
	*len = n;
	if (open) {
		if (text[n - 1] != '>' || strchr(text, '<') != open ||
		    open - text > TOOL_EMAIL_NAME_MAX_BYTES ||
		    strchr(text, '>') != text + n - 1)
			return false;
		*start = open + 1;
		*len = n - (size_t)(open - text) - 2;
	}
	if (tool_header_value_problem(text))
		return false;
	return tool_format_is_email(*start, *len);
}

static void tool_check_address(struct tool_rendering *r,
			       const struct tool_template *t, const char *what,
			       const char *text)
{
	const char *start;
	size_t len;
	bool valid = tool_rendering_masked(r, text)
			     ? !tool_header_value_problem(text)
			     : tool_email_address(text, &start, &len);

	if (!valid)
		tool_rendering_refuse(r, t, what,
				      "must be an email address: a@b.org or "
				      "Name <a@b.org>");
}

static char *tool_render_address(struct tool_rendering *r,
				 const struct tool_template *t,
				 const char *what)
{
	char *text = tool_rendering_text(r, t);

	if (text)
		tool_check_address(r, t, what, text);
	return text;
}

/* One address, or a list of them. */
static void tool_render_addresses(struct tool_rendering *r,
				  const struct tool_template *t,
				  const char *what, char ***out, size_t *n)
{
	_cleanup_json_ json_t *v = tool_rendering_value(r, t);
	size_t count = json_is_array(v) ? json_array_size(v) : v ? 1 : 0;

	if (count > TOOL_RECIPIENTS_MAX) {
		tool_rendering_refuse(r, t, what, "has too many addresses");
		return;
	}
	if (count == 0)
		return;
	*out = calloc(count, sizeof(**out));
	if (!*out)
		r->error = -ENOMEM;
	for (size_t i = 0; i < count && !r->error; i++) {
		const json_t *item = json_is_array(v) ? json_array_get(v, i)
						      : v;
		char *text = tool_rendering_text_of(r, item);

		if (!text)
			return;
		(*out)[(*n)++] = text;
		tool_check_address(r, t, what, text);
	}
}

/* A line of the head: no line breaks, not too long. */
static char *tool_render_line(struct tool_rendering *r,
			      const struct tool_template *t, const char *what)
{
	char *text = tool_rendering_text(r, t);
	const char *problem = text ? tool_header_value_problem(text) : NULL;

	if (problem)
		tool_rendering_refuse(r, t, what, problem);
	return text;
}

static void tool_render_server(struct tool_rendering *r, struct tool_email *e)
{
	const struct tool_template *t = r->request->server;
	const char *problem = NULL;

	e->server = tool_rendering_text(r, t);
	if (!e->server && !r->error)
		tool_rendering_refuse(r, t, "the server", "is absent");
	if (e->server)
		problem = tool_rendering_masked(r, e->server)
				  ? tool_header_value_problem(e->server)
				  : tool_server_problem(e->server);
	if (problem)
		tool_rendering_refuse(r, t, "the server", problem);
	e->username = tool_render_line(r, r->request->username,
				       "the user name");
	e->password = tool_render_line(r, r->request->password, "the password");
}

void tool_rendering_email(struct tool_rendering *r)
{
	const struct tool_request *q = r->request;
	struct tool_email *e = &r->out->email;

	tool_render_server(r, e);
	e->from = tool_render_address(r, q->from, "from");
	tool_render_addresses(r, q->to, "to", &e->to, &e->n_to);
	tool_render_addresses(r, q->cc, "cc", &e->cc, &e->n_cc);
	tool_render_addresses(r, q->bcc, "bcc", &e->bcc, &e->n_bcc);
	e->reply_to = tool_render_address(r, q->reply_to, "reply_to");
	e->subject = tool_render_line(r, q->subject, "the subject");
	e->text = tool_rendering_text(r, q->text);
	e->html = tool_rendering_text(r, q->html);
	if (!e->subject && !r->error)
		e->subject = strdup("");
	if (r->error || !e->subject) {
		r->error = -ENOMEM;
		return;
	}
	if (!e->from)
		tool_rendering_refuse(r, q->from, "from", "is absent");
	if (e->n_to + e->n_cc + e->n_bcc == 0)
		tool_violations_add(r->violations, "",
				    "an email needs to, cc or bcc");
	if (e->n_to + e->n_cc + e->n_bcc > TOOL_RECIPIENTS_MAX)
		tool_violations_add(r->violations, "",
				    "more than %d recipients",
				    TOOL_RECIPIENTS_MAX);
	if (!e->text && !e->html)
		tool_violations_add(r->violations, "",
				    "an email needs text or html");
}
