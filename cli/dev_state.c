#include "cli/dev_state.h"

#include <errno.h>

#include "cli/dev_fixtures.h"
#include "cli/dev_log.h"
#include "common/json.h"

static int add_variables(struct dev_state *s, const json_t *values, bool secret)
{
	const char *key;
	json_t *value;

	json_object_foreach((json_t *)(uintptr_t)values, key, value) {
		_cleanup_(buf_deinit_secret) struct buf text = { 0 };
		int r = json_append(&text, value);

		if (!r && secret)
			r = dev_log_hide(s->log, text.data, text.len);
		if (!r)
			r = dev_store_add(&s->store, key, text.data, text.len,
					  secret);
		if (r < 0)
			return r;
	}
	return 0;
}

static int add_records(struct dev_state *s)
{
	const json_t *record;
	size_t i;

	json_array_foreach(s->fixtures->input_stream, i, record) {
		_cleanup_(buf_deinit) struct buf text = { 0 };
		int r = json_append(&text, record);

		if (!r)
			r = dev_stream_add(&s->input, text.data, text.len);
		if (r < 0)
			return r;
	}
	s->input.ended = s->fixtures->input_stream_end == DEV_STREAM_ENDED;
	s->input.broken = s->fixtures->input_stream_end == DEV_STREAM_BROKEN;
	return 0;
}

/* NULL is everything. */
static int add_patterns(const json_t *list, struct token_patterns *out)
{
	static const char everything[] = "*";
	size_t i;
	json_t *item;

	out->items = calloc(json_array_size(list) + 1, sizeof(*out->items));
	if (!out->items)
		return -ENOMEM;
	if (!list)
		out->items[out->n++] = (char *)(uintptr_t)everything;
	json_array_foreach(list, i, item)
		out->items[out->n++] = (char *)(uintptr_t)json_string_value(
			item);
	return 0;
}

int dev_state_init(struct dev_state *s, const struct dev_fixtures *f,
		   struct dev_log *log)
{
	int r;

	*s = (struct dev_state){
		.fixtures = f,
		.log = log,
		.condition = f->condition ? json_is_true(f->condition) : -1,
		.claims = { .scopes = TOKEN_SCOPE_ALL,
			    .read_only = f->read_only },
		.calls = json_array(),
		.deleted = json_object(),
	};
	dev_store_init(&s->store);
	if (!s->calls || !s->deleted)
		return -ENOMEM;
	if ((r = add_variables(s, f->variables, false)) ||
	    (r = add_variables(s, f->secrets, true)) || (r = add_records(s)) ||
	    (r = add_patterns(f->vars_read, &s->claims.vars_read)) ||
	    (r = add_patterns(f->vars_write, &s->claims.vars_write)))
		return r;
	return add_patterns(f->tools_allowed, &s->claims.tools);
}

void dev_state_deinit(struct dev_state *s)
{
	dev_store_deinit(&s->store);
	dev_stream_deinit(&s->input);
	dev_stream_deinit(&s->output);
	buf_deinit(&s->value);
	free(s->claims.vars_read.items);
	free(s->claims.vars_write.items);
	free(s->claims.tools.items);
	json_decref(s->context);
	json_decref(s->calls);
	json_decref(s->deleted);
}
