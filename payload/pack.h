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
/* The same without some files, by their names from here (NULL-terminated; they
 * need not be there): an earlier archive that lies in dir, say. */
int payload_pack_except(const char *dir, const char *const *except,
			struct buf *out, char *err, size_t err_size) MUST_CHECK;
