#include "backend/store_host.h"

#include "backend/store_call.h"

int store_host_put(struct store *s, const struct store_host_put *put,
		   struct store_done done)
{
	return store_call_start(s, STORE_OP_HOST_PUT, put, done);
}

int store_host_delete(struct store *s, const struct store_host_delete *del,
		      struct store_done done)
{
	return store_call_start(s, STORE_OP_HOST_DELETE, del, done);
}

int store_host_get(struct store *s, const char *name, struct store_done done)
{
	struct store_request_id request = { name };

	return store_call_start(s, STORE_OP_HOST_GET, &request, done);
}

int store_host_list(struct store *s, struct store_done done)
{
	return store_call_start(s, STORE_OP_HOST_LIST, NULL, done);
}
