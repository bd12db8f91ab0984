/* A server in this process that is fed with fuzz bytes. */
#pragma once

#include <stddef.h>
#include <stdint.h>

/* Serves one connection: prefix, then data in pieces whose size its first
 * byte chooses, then the end. Aborts when a handler sees what it must not. */
void http_fixture_run(const void *prefix, size_t prefix_len,
		      const uint8_t *data, size_t len);
