/* A payload on disk, with what lies beside it: FILE.sig and FILE.sha256. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "common/buf.h"
#include "common/macro.h"

#define PAYLOAD_FILE_SIGNATURE_SUFFIX ".sig"
#define PAYLOAD_FILE_CHECKSUM_SUFFIX ".sha256"
#define PAYLOAD_FILE_KEY_MAX_BYTES (16 * 1024)

/* A program has the name of a payload, or begins like one. */
bool payload_file_is(const char *path, const struct buf *content);

/* The following say themselves what went wrong; 0 or -EINVAL. */

/* PATH and a suffix, NUL-terminated. */
int payload_file_beside(const char *path, const char *suffix,
			struct buf *out) MUST_CHECK;
/* path "-": stdout. */
int payload_file_write(const char *path, const struct buf *content) MUST_CHECK;
/* Writes PATH.sig and PATH.sha256, as sha256sum -c reads it. */
int payload_file_sign(const char *path, const struct buf *content,
		      const char *key_path) MUST_CHECK;
/* signature_path NULL: PATH.sig. Where there is a PATH.sha256, the sum is
 * checked as well. */
int payload_file_verify(const char *path, const struct buf *content,
			const char *key_path,
			const char *signature_path) MUST_CHECK;
