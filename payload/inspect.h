/* All that can be said of a payload without unpacking it. Pure. */
#pragma once

#include <jansson.h>
#include <stddef.h>

#include "common/buf.h"
#include "common/macro.h"

struct payload_info {
	json_t *manifest; /* normal form, see manifest.h */
	json_t *files;    /* [{"path","bytes","executable"}], sorted */
	size_t bytes, unpacked_bytes;
};

/* 0, PAYLOAD_E_REFUSED with sentences appended to why (the archive's, or the
 * manifest's: also where the entrypoint is not a file of the archive), or
 * negative errno. */
int payload_inspect(const void *data, size_t len, struct payload_info *out,
		    struct buf *why) MUST_CHECK;
void payload_info_deinit(struct payload_info *info);
