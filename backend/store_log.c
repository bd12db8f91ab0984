#include "backend/store_log.h"

#include "backend/store_call.h"

STORE_OPERATION(store_log_append, LOG_APPEND, store_log_append)
STORE_OPERATION(store_log_read, LOG_READ, store_log_query)
