#include "backend/store_session.h"

#include "backend/store_call.h"

int store_session_new(struct store *s, const struct store_session_new *session,
		      struct store_done done)
{
	return store_call_start(s, STORE_OP_SESSION_NEW, session, done);
}

int store_session_set(struct store *s, const struct store_session_set *set,
		      struct store_done done)
{
	return store_call_start(s, STORE_OP_SESSION_SET, set, done);
}

int store_session_get(struct store *s, const char *session,
		      struct store_done done)
{
	struct store_request_id request = { session };

	return store_call_start(s, STORE_OP_SESSION_GET, &request, done);
}

int store_session_list(struct store *s, const struct store_session_query *query,
		       struct store_done done)
{
	return store_call_start(s, STORE_OP_SESSION_LIST, query, done);
}
