/* Every route of the backend, in one table. */
#pragma once

#include <stddef.h>

#include "common/http/router.h"

extern const struct http_route api_routes[];
extern const size_t api_routes_n;
