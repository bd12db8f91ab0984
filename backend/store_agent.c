#include "backend/store_agent.h"

#include "backend/store_call.h"

STORE_OPERATION(store_agent_connect, AGENT_CONNECT, store_agent_connect)
STORE_OPERATION(store_agent_disconnect, AGENT_DISCONNECT,
		store_agent_disconnect)
STORE_OPERATION(store_agent_drain, AGENT_DRAIN, store_agent_drain)
STORE_OPERATION(store_agent_forget, AGENT_FORGET, store_agent_forget)
STORE_OPERATION_ID(store_agent_get, AGENT_GET)
STORE_OPERATION_BARE(store_agent_list, AGENT_LIST)
