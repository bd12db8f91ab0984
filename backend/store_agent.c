#include "backend/store_agent.h"

#include "backend/store_call.h"

int store_agent_connect(struct store *s,
			const struct store_agent_connect *connect,
			struct store_done done)
{
	return store_call_start(s, STORE_OP_AGENT_CONNECT, connect, done);
}

int store_agent_disconnect(struct store *s,
			   const struct store_agent_disconnect *disconnect,
			   struct store_done done)
{
	return store_call_start(s, STORE_OP_AGENT_DISCONNECT, disconnect, done);
}

int store_agent_drain(struct store *s, const struct store_agent_drain *drain,
		      struct store_done done)
{
	return store_call_start(s, STORE_OP_AGENT_DRAIN, drain, done);
}

int store_agent_forget(struct store *s, const struct store_agent_forget *forget,
		       struct store_done done)
{
	return store_call_start(s, STORE_OP_AGENT_FORGET, forget, done);
}

int store_agent_get(struct store *s, const char *name, struct store_done done)
{
	struct store_request_id request = { name };

	return store_call_start(s, STORE_OP_AGENT_GET, &request, done);
}

int store_agent_list(struct store *s, struct store_done done)
{
	return store_call_start(s, STORE_OP_AGENT_LIST, NULL, done);
}
