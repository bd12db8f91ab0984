#include "backend/store_host.h"

#include "backend/store_call.h"

STORE_OPERATION(store_host_put, HOST_PUT, store_host_put)
STORE_OPERATION(store_host_delete, HOST_DELETE, store_host_delete)
STORE_OPERATION_ID(store_host_get, HOST_GET)
STORE_OPERATION_BARE(store_host_list, HOST_LIST)
