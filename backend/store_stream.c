#include "backend/store_stream.h"

#include "backend/store_call.h"

STORE_OPERATION(store_stream_append, STREAM_APPEND, store_stream_append)
STORE_OPERATION(store_stream_read, STREAM_READ, store_stream_query)
STORE_OPERATION_ID(store_stream_get, STREAM_GET)
STORE_OPERATION_BARE(store_stream_sweep, STREAM_SWEEP)
