#include "backend/store_session.h"

#include "backend/store_call.h"

STORE_OPERATION(store_session_new, SESSION_NEW, store_session_new)
STORE_OPERATION(store_session_set, SESSION_SET, store_session_set)
STORE_OPERATION_ID(store_session_get, SESSION_GET)
STORE_OPERATION(store_session_list, SESSION_LIST, store_session_query)
