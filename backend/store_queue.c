#include "backend/store_queue.h"

#include "backend/store_call.h"

/* Of a time, or a length of time. */
#define STORE_OPERATION_MS(function, op)                                   \
	int function(struct store *s, int64_t ms, struct store_done done)  \
	{                                                                  \
		struct store_request_ms request = { ms };                  \
                                                                           \
		return store_call_start(s, STORE_OP_##op, &request, done); \
	}

STORE_OPERATION(store_queue_claim, QUEUE_CLAIM, store_claim)
STORE_OPERATION(store_queue_give_back, QUEUE_GIVE_BACK, store_give_back)
STORE_OPERATION(store_queue_started, QUEUE_STARTED, store_started)
STORE_OPERATION(store_queue_heartbeat, QUEUE_HEARTBEAT, store_heartbeat)
STORE_OPERATION(store_queue_complete, QUEUE_COMPLETE, store_complete)
STORE_OPERATION_MS(store_queue_expire, QUEUE_EXPIRE)
STORE_OPERATION_MS(store_queue_due, QUEUE_DUE)
STORE_OPERATION_MS(store_queue_grace, QUEUE_GRACE)
STORE_OPERATION(store_queue_recover, QUEUE_RECOVER, store_heartbeat)
