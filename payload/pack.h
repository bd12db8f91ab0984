/* Makes a payload of a directory: the same files, the same bytes. */
#pragma once

#include <stddef.h>

#include "common/buf.h"
#include "common/macro.h"

/* 0 with the tar.gz appended to out, PAYLOAD_E_REFUSED (read.h), or negative
 * errno; each but 0 with a sentence in err. manifest.yaml must be there and
 * good, the entrypoint too. */
int payload_pack(const char *dir, struct buf *out, char *err,
		 size_t err_size) MUST_CHECK;
