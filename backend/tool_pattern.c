#include "backend/tool_pattern.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

struct tool_pattern {
	pcre2_code *code;
	char *text;
};

/* What is left while one match runs. */
struct tool_pattern_count {
	uint64_t *budget;
	size_t at; /* where the matcher was last */
};

void tool_pattern_free(struct tool_pattern *p)
{
	if (!p)
		return;
	pcre2_code_free(p->code);
	free(p->text);
	free(p);
}

const char *tool_pattern_text(const struct tool_pattern *p)
{
	return p->text;
}

static pcre2_code *tool_pattern_compile(const char *text, char *err,
					size_t err_size)
{
	/* What JavaScript means, a callout before every item for the budget,
	 * and no \C, which could cut a character in two. */
	const uint32_t options = PCRE2_UTF | PCRE2_AUTO_CALLOUT |
				 PCRE2_DOLLAR_ENDONLY | PCRE2_ALT_BSUX |
				 PCRE2_MATCH_UNSET_BACKREF |
				 PCRE2_NEVER_BACKSLASH_C;
	PCRE2_SIZE at = 0;
	PCRE2_UCHAR why[128];
	int code = 0;
	pcre2_code *c = pcre2_compile((PCRE2_SPTR)text, PCRE2_ZERO_TERMINATED,
				      options, &code, &at, NULL);

	if (c || code == PCRE2_ERROR_HEAP_FAILED)
		return c;
	pcre2_get_error_message(code, why, sizeof(why));
	snprintf(err, err_size, "%s (at character %zu)", (const char *)why,
		 (size_t)at + 1);
	return NULL;
}

struct tool_pattern *tool_pattern_new(const char *text, char *err,
				      size_t err_size)
{
	struct tool_pattern *p;

	err[0] = '\0';
	if (strlen(text) > TOOL_PATTERN_MAX_BYTES) {
		snprintf(err, err_size, "is longer than %d bytes",
			 TOOL_PATTERN_MAX_BYTES);
		return NULL;
	}
	p = calloc(1, sizeof(*p));
	if (!p)
		return NULL;
	p->code = tool_pattern_compile(text, err, err_size);
	p->text = strdup(text);
	if (p->code && p->text)
		return p;
	tool_pattern_free(p);
	return NULL;
}

/* Before every item: also what a single item (.*) ran over is counted. */
static int on_tool_pattern_item(pcre2_callout_block *b, void *ctx)
{
	struct tool_pattern_count *c = ctx;
	size_t moved = b->current_position > c->at
			       ? b->current_position - c->at
			       : c->at - b->current_position;

	c->at = b->current_position;
	if (*c->budget <= moved) {
		*c->budget = 0;
		return PCRE2_ERROR_CALLOUT;
	}
	*c->budget -= moved + 1;
	return 0;
}

static pcre2_match_context *tool_pattern_context(struct tool_pattern_count *c)
{
	pcre2_match_context *m = pcre2_match_context_create(NULL);

	if (!m)
		return NULL;
	pcre2_set_match_limit(m, TOOL_PATTERN_MATCH_LIMIT);
	pcre2_set_depth_limit(m, TOOL_PATTERN_DEPTH_LIMIT);
	pcre2_set_heap_limit(m, TOOL_PATTERN_HEAP_LIMIT_KIB);
	pcre2_set_callout(m, on_tool_pattern_item, c);
	return m;
}

int tool_pattern_match(const struct tool_pattern *p, const char *s, size_t len,
		       uint64_t *budget)
{
	struct tool_pattern_count count = { .budget = budget };
	pcre2_match_context *context;
	pcre2_match_data *data;
	int r = PCRE2_ERROR_NOMEMORY;

	if (len > TOOL_PATTERN_SUBJECT_MAX_BYTES || *budget == 0)
		return TOOL_PATTERN_E_LIMIT;
	context = tool_pattern_context(&count);
	data = pcre2_match_data_create(1, NULL);
	if (context && data)
		r = pcre2_match(p->code, (PCRE2_SPTR)s, len, 0, 0, data,
				context);
	pcre2_match_data_free(data);
	pcre2_match_context_free(context);
	if (r >= 0)
		return 0;
	if (r == PCRE2_ERROR_NOMATCH)
		return TOOL_PATTERN_E_NO_MATCH;
	return r == PCRE2_ERROR_NOMEMORY ? -ENOMEM : TOOL_PATTERN_E_LIMIT;
}
