/* One rendering, for the files that make it. */
#pragma once

#include "backend/tool_request.h"
#include "backend/tool_template.h"

struct tool_rendering {
	const struct tool_request *request;
	const struct tool_template_values *values;
	struct tool_violations *violations;
	struct tool_rendered *out;
	int error; /* -ENOMEM, remembered */
};

/* A violation of what the template brought: at its parameter, where it is one
 * reference. what: "the URL". */
void tool_rendering_refuse(struct tool_rendering *r,
			   const struct tool_template *t, const char *what,
			   const char *problem);

/* The value (json_decref); NULL: no such template, absent, or an error. */
json_t *tool_rendering_value(struct tool_rendering *r,
			     const struct tool_template *t);
/* The same as text (free()), whatever its type is. */
char *tool_rendering_text(struct tool_rendering *r,
			  const struct tool_template *t);
/* Of a value at hand. */
char *tool_rendering_text_of(struct tool_rendering *r, const json_t *v);

/* Whether the text stands for credentials, and is not to be judged. */
bool tool_rendering_masked(const struct tool_rendering *r, const char *text);

void tool_secret_free(char *s);
void tool_secret_freep(char **s);

void tool_rendering_http(struct tool_rendering *r);
void tool_rendering_email(struct tool_rendering *r);
