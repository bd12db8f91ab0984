#include "backend/tools.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "backend/backend.h"
#include "backend/data_dir.h"
#include "backend/tool_call.h"
#include "backend/tool_native.h"
#include "backend/tool_registry.h"
#include "backend/tool_send.h"
#include "common/clock.h"
#include "common/options.h"

#define TOOLS_DIR "tools"

static int tools_open_registry(struct tools *t)
{
	const char *dir = t->b->config->tools_dir;
	_cleanup_free_ char *own = NULL;

	if (!dir &&
	    asprintf(&own, "%s/" TOOLS_DIR, data_dir_path(t->b->dir)) < 0)
		own = NULL;
	if (!dir && !own)
		return -ENOMEM;
	return tool_registry_new(&t->registry, dir ? dir : own);
}

static int tools_open(struct tools *t, char *err, size_t err_size)
{
	const struct option_list *allow = &t->b->config->tools_allow;
	const struct tool_sender_config config = {
		.allow = &t->allow,
		.ca_file = t->b->config->tools_ca_file,
	};
	char why[512];
	int r = 0;

	for (size_t i = 0; !r && i < allow->n; i++) {
		r = allow_list_add(&t->allow, allow->items[i], why,
				   sizeof(why));
		if (r == -EINVAL)
			snprintf(err, err_size, "--tools-allow %s", why);
	}
	if (!r)
		r = tool_sender_new(&t->sender, t->b->base, &config);
	if (!r)
		r = tool_native_new(&t->native);
	if (!r)
		r = tools_open_registry(t);
	return r;
}

int tools_new(struct tools **out, struct backend *b, char *err, size_t err_size)
{
	struct tools *t = calloc(1, sizeof(*t));
	int r;

	snprintf(err, err_size, "out of memory");
	if (!t)
		return -ENOMEM;
	t->b = b;
	LIST_INIT(&t->calls);
	r = tools_open(t, err, err_size);
	if (r) {
		tools_free(t);
		return r;
	}
	*out = t;
	return 0;
}

void tools_free(struct tools *t)
{
	if (!t)
		return;
	tool_call_drop_all(t);
	tool_sender_free(t->sender);
	tool_registry_free(t->registry);
	tool_native_free(t->native);
	allow_list_deinit(&t->allow);
	free(t);
}

void tools_reload(struct tools *t)
{
	tool_registry_reload(t->registry);
}

struct tool_registry *tools_registry(struct tools *t)
{
	tool_registry_refresh(t->registry, clock_mono_ms());
	return t->registry;
}

void tools_stop(struct tools *t, void (*on_idle)(void *ctx), void *ctx)
{
	t->stopping = true;
	t->on_idle = on_idle;
	t->ctx = ctx;
	tool_call_stop_waiting(t);
	if (!t->n_calls && t->on_idle) {
		t->on_idle = NULL;
		on_idle(ctx);
	}
}
