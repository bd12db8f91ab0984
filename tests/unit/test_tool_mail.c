/* The head of an email: nothing but what was meant gets into it. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "backend/tool_mail.h"
#include "backend/tool_request.h"

static char *to[] = { (char *)"Ann <ann@a.org>", (char *)"bob@b.org" };
static char *cc[] = { (char *)"\"Doe, \\\"J\\\"\" <j@c.org>" };
static char *bcc[] = { (char *)"hidden@d.org" };

static struct tool_email mail(void)
{
	return (struct tool_email){
		.server = (char *)"smtp://mail.example",
		.from = (char *)"J\xc3\xb6rg <joerg@x.org>",
		.to = to,
		.n_to = 2,
		.cc = cc,
		.n_cc = 1,
		.bcc = bcc,
		.n_bcc = 1,
		.subject = (char *)"Hello",
		.text = (char *)"t",
	};
}

static const char *header(const struct tool_mail *m, const char *name)
{
	size_t len = strlen(name);

	for (size_t i = 0; i < m->n_headers; i++)
		if (!strncmp(m->headers[i], name, len) &&
		    !strncmp(m->headers[i] + len, ": ", 2))
			return m->headers[i] + len + 2;
	return NULL;
}

static struct tool_mail *make(const struct tool_email *e)
{
	struct tool_mail *m;

	assert_int_equal(tool_mail_make(e, "<id@x.org>", 1700000000, &m), 0);
	return m;
}

static void test_head(void **state)
{
	struct tool_email e = mail();
	struct tool_mail *m = make(&e);

	assert_string_equal(header(m, "Date"),
			    "Tue, 14 Nov 2023 22:13:20 +0000");
	assert_string_equal(header(m, "From"),
			    "=?UTF-8?B?SsO2cmc=?= <joerg@x.org>");
	assert_string_equal(header(m, "To"),
			    "\"Ann\" <ann@a.org>,\r\n bob@b.org");
	assert_string_equal(header(m, "Cc"), "\"Doe, \\\"J\\\"\" <j@c.org>");
	assert_string_equal(header(m, "Subject"), "Hello");
	assert_string_equal(header(m, "Message-ID"), "<id@x.org>");
	assert_null(header(m, "Bcc"));
	assert_null(header(m, "Reply-To"));
	tool_mail_free(m);
}

static void test_envelope(void **state)
{
	static const char *const all[] = { "<ann@a.org>", "<bob@b.org>",
					   "<j@c.org>", "<hidden@d.org>" };
	struct tool_email e = mail();
	struct tool_mail *m = make(&e);

	assert_string_equal(m->sender, "<joerg@x.org>");
	assert_int_equal(m->n_recipients, ARRAY_SIZE(all));
	for (size_t i = 0; i < ARRAY_SIZE(all); i++)
		assert_string_equal(m->recipients[i], all[i]);
	tool_mail_free(m);
}

/* Line breaks, however they came here, end up within encoded words. */
static void test_no_injection(void **state)
{
	static const char *const subjects[] = {
		"a\r\nBcc: x@y.org",        "a\nBcc: x@y.org", "a\rb", "a\x01",
		"=?UTF-8?Q?=0D=0ABcc:_x?=",
	};
	struct tool_email e = mail();

	for (size_t i = 0; i < ARRAY_SIZE(subjects); i++) {
		struct tool_mail *m;

		e.subject = (char *)subjects[i];
		m = make(&e);
		assert_int_equal(
			strncmp(header(m, "Subject"), "=?UTF-8?B?", 10), 0);
		assert_null(strpbrk(header(m, "Subject"), "\r\n\x01"));
		tool_mail_free(m);
	}
}

static void test_long_subject_is_folded(void **state)
{
	struct tool_email e = mail();
	char subject[601] = "";
	struct tool_mail *m;
	const char *line, *end;

	for (int i = 0; i < 200; i++)
		strcat(subject, "\xe2\x82\xac");
	e.subject = subject;
	m = make(&e);
	for (line = header(m, "Subject"); line; line = end ? end + 3 : NULL) {
		end = strstr(line, "\r\n ");
		assert_true((end ? (size_t)(end - line) : strlen(line)) <= 76);
		assert_int_equal(strncmp(line, "=?UTF-8?B?", 10), 0);
	}
	tool_mail_free(m);
}

static void test_bad_address(void **state)
{
	struct tool_email e = mail();
	struct tool_mail *m;

	e.from = (char *)"nobody";
	assert_int_equal(tool_mail_make(&e, "<i@x>", 0, &m), -EINVAL);
}

static void test_id(void **state)
{
	char a[TOOL_MAIL_ID_BYTES], b[TOOL_MAIL_ID_BYTES];
	struct tool_email e = mail();

	assert_int_equal(tool_mail_id(&e, "ex_1", "k", a), 0);
	assert_int_equal(tool_mail_id(&e, "ex_1", "k", b), 0);
	assert_string_equal(a, b);
	assert_int_equal(strlen(a), 1 + 32 + strlen("@x.org>"));
	assert_non_null(strstr(a, "@x.org>"));
	assert_int_equal(tool_mail_id(&e, "ex_2", "k", b), 0);
	assert_string_not_equal(a, b);
	assert_int_equal(tool_mail_id(&e, NULL, NULL, a), 0);
	assert_int_equal(tool_mail_id(&e, NULL, NULL, b), 0);
	assert_string_not_equal(a, b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_head),
		cmocka_unit_test(test_envelope),
		cmocka_unit_test(test_no_injection),
		cmocka_unit_test(test_long_subject_is_folded),
		cmocka_unit_test(test_bad_address),
		cmocka_unit_test(test_id),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
