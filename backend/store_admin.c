#include "backend/store_admin.h"

#include "backend/store_call.h"

int store_audit_append(struct store *s, const struct store_audit *entry,
		       struct store_done done)
{
	struct store_request_audit request = { *entry };

	return store_call_start(s, STORE_OP_AUDIT_APPEND, &request, done);
}

STORE_OPERATION(store_audit_list, AUDIT_LIST, store_audit_query)
STORE_OPERATION(store_api_key_add, API_KEY_ADD, store_api_key_new)
STORE_OPERATION(store_api_key_delete, API_KEY_DELETE, store_api_key_delete)
STORE_OPERATION_ID(store_api_key_touch, API_KEY_TOUCH)
STORE_OPERATION_BARE(store_api_key_list, API_KEY_LIST)

void store_get_stats(const struct store *s, struct store_stats *out)
{
	*out = (struct store_stats){
		.calls_total = s->calls_total,
		.commits_total = atomic_load(&s->commits_total),
		.queued_calls = s->n_calls,
		.queued_bytes = s->bytes,
		.away = s->ops->away(s),
		.failed = atomic_load(&s->failed),
	};
}
