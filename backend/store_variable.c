#include "backend/store_variable.h"

#include "backend/store_call.h"

STORE_OPERATION_ID(store_variable_get, VARIABLE_GET)
STORE_OPERATION(store_variable_list, VARIABLE_LIST, store_variable_query)
STORE_OPERATION(store_variable_put, VARIABLE_PUT, store_variable_put)
STORE_OPERATION(store_variable_delete, VARIABLE_DELETE, store_variable_delete)
STORE_OPERATION(store_variable_increment, VARIABLE_INCREMENT,
		store_variable_increment)
STORE_OPERATION(store_change_list, CHANGE_LIST, store_change_query)
