#include "backend/store_tool.h"

#include "backend/store_call.h"

STORE_OPERATION(store_tool_begin, TOOL_BEGIN, store_tool_begin)
STORE_OPERATION(store_tool_finish, TOOL_FINISH, store_tool_finish)
