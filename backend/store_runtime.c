#include "backend/store_runtime.h"

#include "backend/store_call.h"

STORE_OPERATION_ID(store_execution_get, EXECUTION_GET)
STORE_OPERATION(store_output_set, OUTPUT_SET, store_output_set)
STORE_OPERATION(store_condition_set, CONDITION_SET, store_condition_set)
STORE_OPERATION_ID(store_condition_get, CONDITION_GET)
