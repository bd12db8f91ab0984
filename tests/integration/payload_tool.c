/*
 * payload/ as a program, for tests that make hostile payloads:
 *
 *	payload_tool inspect FILE             its manifest and files as JSON
 *	payload_tool extract FILE DIR [MODE]  MODE as 0640
 *	payload_tool pack DIR OUT [EXCEPT]
 *	payload_tool sign KEY FILE            the signature on stdout
 *	payload_tool public KEY               "base64:…" on stdout
 *	payload_tool verify PUBLIC FILE SIG   PUBLIC: a file, or "base64:…"
 *
 * Exits with 0; 1 and the reason on stderr where it was refused; 3 where
 * something failed.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/file.h"
#include "common/json.h"
#include "payload/extract.h"
#include "payload/inspect.h"
#include "payload/pack.h"
#include "payload/read.h"
#include "payload/sign.h"
#include "payload/verify.h"

#define TOOL_FILE_MAX_BYTES (64 * 1024 * 1024)

enum { TOOL_REFUSED = 1, TOOL_USAGE = 2, TOOL_FAILED = 3 };

static int tool_read(const char *path, struct buf *out)
{
	_cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd < 0 || file_read_all(fd, TOOL_FILE_MAX_BYTES, out) < 0) {
		fprintf(stderr, "%s: cannot be read\n", path);
		return -1;
	}
	return 0;
}

static int tool_said(int r, const char *err)
{
	if (r)
		fprintf(stderr, "%s\n", err);
	return r < 0 ? TOOL_FAILED : r ? TOOL_REFUSED : 0;
}

static int tool_print(const struct buf *b)
{
	return fwrite(b->data, 1, b->len, stdout) == b->len ? 0 : TOOL_FAILED;
}

static int tool_inspect(char **args)
{
	_cleanup_(buf_deinit) struct buf file = { 0 }, why = { 0 };
	struct payload_info info;
	json_t *all;
	int r;

	if (tool_read(args[0], &file))
		return TOOL_FAILED;
	r = payload_inspect(file.data, file.len, &info, &why);
	if (r)
		return tool_said(r, buf_cstr(&why));
	all = json_pack("{s:O,s:O,s:I,s:I}", "manifest", info.manifest, "files",
			info.files, "bytes", (json_int_t)info.bytes,
			"unpacked_bytes", (json_int_t)info.unpacked_bytes);
	json_dumpf(all, stdout, JSON_COMPACT);
	json_decref(all);
	payload_info_deinit(&info);
	return 0;
}

static int tool_extract(char **args)
{
	_cleanup_close_ int dir = open(args[1],
				       O_PATH | O_DIRECTORY | O_CLOEXEC);
	_cleanup_(buf_deinit) struct buf file = { 0 };
	struct payload_extract_options o = {
		.dir_fd = dir,
		.file_mode = args[2] ? (mode_t)strtoul(args[2], NULL, 8) : 0600,
		.uid = (uid_t)-1,
		.gid = (gid_t)-1,
	};
	char err[512] = "";

	if (dir < 0 || tool_read(args[0], &file))
		return TOOL_FAILED;
	return tool_said(payload_extract(file.data, file.len, &o, err,
					 sizeof(err)),
			 err);
}

static int tool_pack(char **args)
{
	const char *const except[] = { args[2], NULL };
	_cleanup_(buf_deinit) struct buf out = { 0 };
	char err[512] = "";
	int r = payload_pack_except(args[0], except, &out, err, sizeof(err));

	if (!r && file_replace(args[1], out.data, out.len, 0644) < 0)
		return TOOL_FAILED;
	return tool_said(r, err);
}

static int tool_signer(const char *path, struct payload_signer **signer)
{
	_cleanup_(buf_deinit) struct buf key = { 0 };

	if (tool_read(path, &key))
		return TOOL_FAILED;
	return payload_signer_new(signer, (char *)key.data, key.len)
		       ? tool_said(1, "no private key of P-256")
		       : 0;
}

static int tool_sign(char **args)
{
	_cleanup_(payload_signer_freep) struct payload_signer *signer = NULL;
	_cleanup_(buf_deinit) struct buf file = { 0 }, out = { 0 };
	int r = tool_signer(args[0], &signer);

	if (r || tool_read(args[1], &file))
		return r ? r : TOOL_FAILED;
	r = payload_sign(signer, file.data, file.len, &out);
	return r ? tool_said(r, strerror(-r)) : tool_print(&out);
}

static int tool_public(char **args)
{
	_cleanup_(payload_signer_freep) struct payload_signer *signer = NULL;
	_cleanup_(buf_deinit) struct buf out = { 0 };
	int r = tool_signer(args[0], &signer);

	if (!r && payload_signer_public_base64(signer, &out))
		r = TOOL_FAILED;
	return r ? r : tool_print(&out);
}

static int tool_verify(char **args)
{
	_cleanup_(buf_deinit) struct buf text = { 0 }, file = { 0 },
					 sig = { 0 };
	bool is_text = !strncmp(args[0], "base64:", strlen("base64:"));
	struct payload_key key;
	int r;

	if ((is_text ? buf_append_str(&text, args[0])
		     : tool_read(args[0], &text)) ||
	    tool_read(args[1], &file) || tool_read(args[2], &sig))
		return TOOL_FAILED;
	if (payload_key_parse(&key, (char *)text.data, text.len))
		return tool_said(1, "no public key of P-256");
	r = payload_verify(&key, file.data, file.len, (char *)sig.data,
			   sig.len);
	return tool_said(r, r == PAYLOAD_E_MALFORMED ? "malformed"
						     : "another signature");
}

static const struct {
	const char *name;
	int min, max;
	int (*run)(char **args);
} tools[] = {
	{ "inspect", 1, 1, tool_inspect }, { "extract", 2, 3, tool_extract },
	{ "pack", 2, 3, tool_pack },       { "sign", 2, 2, tool_sign },
	{ "public", 1, 1, tool_public },   { "verify", 3, 3, tool_verify },
};

int main(int argc, char **argv)
{
	for (size_t i = 0; argc > 1 && i < ARRAY_SIZE(tools); i++)
		if (!strcmp(argv[1], tools[i].name) &&
		    argc - 2 >= tools[i].min && argc - 2 <= tools[i].max)
			return tools[i].run(argv + 2);
	fprintf(stderr, "see the comment at the top of payload_tool.c\n");
	return TOOL_USAGE;
}
