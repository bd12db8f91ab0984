#include "common/http/fields.h"

#include <llhttp.h>
#include <string.h>

struct fields {
	struct http_header *fields;
	size_t n, max;
};

static int on_field(llhttp_t *p, const char *at, size_t len)
{
	struct fields *f = p->data;

	/* llhttp lets an empty name through; and each line is one field. */
	if (!len || f->n == f->max || at[-1] != '\n')
		return HPE_USER;
	f->fields[f->n].name = at;
	f->fields[f->n++].value = NULL;
	return 0;
}

static int on_value(llhttp_t *p, const char *at, size_t len)
{
	struct fields *f = p->data;

	if (!f->n)
		return HPE_USER;
	if (len)
		f->fields[f->n - 1].value = at;
	return 0;
}

static int on_complete(llhttp_t *p)
{
	return HPE_PAUSED;
}

static int refuse(int status, const char **why, const char *sentence)
{
	*why = sentence;
	return status;
}

/* llhttp is done with the text: ends names and values with a NUL. */
static void terminate_fields(struct fields *f)
{
	size_t i;

	for (i = 0; i < f->n; i++) {
		char *p = (char *)f->fields[i].name;

		for (; *p != ':'; p++)
			if (*p >= 'A' && *p <= 'Z')
				*p = (char)(*p | 0x20);
		*p = '\0';
		p = (char *)f->fields[i].value;
		if (!p) {
			f->fields[i].value = "";
			continue;
		}
		p = strchr(p, '\r');
		while (p[-1] == ' ' || p[-1] == '\t')
			p--;
		*p = '\0';
	}
}

int fields_parse(char *text, size_t len, struct http_header *fields,
		 size_t *n_fields, const char **why)
{
	static const llhttp_settings_t settings = {
		.on_header_field = on_field,
		.on_header_value = on_value,
		.on_headers_complete = on_complete,
	};
	struct fields f = { .fields = fields, .max = *n_fields };
	llhttp_t parser;

	llhttp_init(&parser, HTTP_REQUEST, &settings);
	parser.data = &f;
	switch (llhttp_execute(&parser, text, len)) {
	case HPE_PAUSED:
		if (f.n != f.max)
			return refuse(400, why, "a header is malformed");
		terminate_fields(&f);
		*n_fields = f.n;
		return 0;
	case HPE_INVALID_METHOD:
		return refuse(501, why, "the method is not implemented");
	case HPE_INVALID_URL:
		return refuse(400, why, "the request target is malformed");
	case HPE_INVALID_VERSION:
		return refuse(400, why, "the HTTP version is malformed");
	case HPE_INVALID_CONTENT_LENGTH:
	case HPE_UNEXPECTED_CONTENT_LENGTH:
		return refuse(400, why, "Content-Length is malformed");
	case HPE_INVALID_TRANSFER_ENCODING:
		return refuse(400, why, "Transfer-Encoding is malformed");
	default:
		return refuse(400, why, "a header is malformed");
	}
}
