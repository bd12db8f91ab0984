#include "cli/read_file.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "cli/output.h"
#include "common/file.h"

int read_file(const char *what, const char *path, size_t max, struct buf *out)
{
	bool is_stdin = !strcmp(path, "-");
	int fd = is_stdin ? STDIN_FILENO : open(path, O_RDONLY | O_CLOEXEC);
	int r = fd < 0 ? -errno : file_read_all(fd, max, out);

	if (fd >= 0 && !is_stdin)
		close(fd);
	if (r == -EFBIG)
		output_error("the %s %s is larger than the %zu %s that are "
			     "accepted",
			     what, path, max >> 20 ? max >> 20 : max >> 10,
			     max >> 20 ? "MiB" : "KiB");
	else if (r < 0)
		output_error("cannot read the %s %s: %s", what,
			     is_stdin ? "on stdin" : path, strerror(-r));
	return r < 0 ? -EINVAL : 0;
}
