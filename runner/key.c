#include "runner/key.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "common/buf.h"
#include "common/file.h"

static int key_read(const char *path, struct buf *out, char *err,
		    size_t err_size)
{
	_cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC);
	int r = fd < 0 ? -errno : file_read_all(fd, PAYLOAD_KEY_MAX_BYTES, out);

	if (r < 0)
		snprintf(err, err_size, "cannot read the key %s: %s", path,
			 strerror(-r));
	return r;
}

int key_load(struct payload_key *key, const char *text, char *err,
	     size_t err_size)
{
	struct buf file = { 0 };
	bool is_file = strncmp(text, PAYLOAD_KEY_PREFIX,
			       strlen(PAYLOAD_KEY_PREFIX)) != 0;
	int r;

	if (is_file) {
		r = key_read(text, &file, err, err_size);
		if (!r) {
			r = payload_key_parse(key, (const char *)file.data,
					      file.len);
			if (r < 0)
				snprintf(
					err, err_size,
					"%s is no public key of P-256 in PEM: "
					"`openssl ec -in KEY -pubout` makes it "
					"of a private one, `cronium payload "
					"key` prints a server's",
					text);
		}
		buf_deinit(&file);
		return r;
	}
	r = payload_key_parse(key, text, strlen(text));
	if (r < 0)
		snprintf(err, err_size,
			 "--key has no public key of P-256 after %s: give its "
			 "DER in base64, or a PEM file",
			 PAYLOAD_KEY_PREFIX);
	return r;
}
