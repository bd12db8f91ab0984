#include "cli/job_output.h"

#include <errno.h>
#include <string.h>

#include "cli/output.h"
#include "common/percent.h"

static int job_output_path(const char *id, struct buf *path)
{
	int r = buf_append_str(path, "/v1/jobs/");

	if (!r)
		r = percent_append(path, id);
	if (!r)
		r = buf_append_str(path, "/output");
	if (!r && !buf_cstr(path))
		r = -ENOMEM;
	return r;
}

int job_output_fetch(struct api *api, const char *id, struct buf *out)
{
	_cleanup_(buf_deinit) struct buf path = { 0 };
	struct api_request request = { .method = "GET" };
	struct api_reply reply;
	int r = job_output_path(id, &path);

	if (r < 0) {
		output_error("cannot read the output: %s", strerror(-r));
		return r;
	}
	request.path = (char *)path.data;
	if (api_call(api, &request, &reply)) {
		r = buf_append(out, reply.body.data, reply.body.len);
	} else if (strcmp(reply.code, "no_output") != 0) {
		api_explain(api, &reply, "read the output");
		r = -EIO;
	}
	api_reply_deinit(&reply);
	return r;
}

int job_output_write(const struct buf *bytes)
{
	int r = output_bytes(STDOUT_FILENO, bytes->data, bytes->len);

	if (r < 0)
		output_error("cannot write the output: %s", strerror(-r));
	return r;
}

int job_output_print(struct buf *output)
{
	int r;

	if (!output->len)
		return 0;
	if (output->data[output->len - 1] != '\n') {
		r = buf_append_str(output, "\n");
		if (r < 0)
			return r;
	}
	return job_output_write(output);
}
