#include "runner/run_program.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "common/file.h"
#include "common/runtime_config.h"
#include "payload/inspect.h"
#include "payload/read.h"
#include "runner/key.h"
#include "runner/run_assign.h"

void run_program_deinit(struct run_program *p)
{
	buf_deinit(&p->payload);
	buf_deinit(&p->signature);
	json_decref(p->assign);
	p->assign = NULL;
}

static int run_program_read(const char *path, size_t max, struct buf *out,
			    const char *next, char *err, size_t err_size)
{
	_cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC);
	int r = fd < 0 ? -errno : file_read_all(fd, max, out);

	if (r == -EFBIG)
		snprintf(err, err_size, "%s is larger than %zu bytes%s", path,
			 max, next);
	else if (r < 0)
		snprintf(err, err_size, "cannot read %s: %s%s", path,
			 strerror(-r), next);
	return r;
}

static int run_program_read_both(struct run_program *p,
				 const struct run_program_spec *spec, char *err,
				 size_t err_size)
{
	_cleanup_free_ char *beside = NULL;
	const char *signature = spec->signature;
	int r;

	if (!signature && asprintf(&beside, "%s.sig", spec->payload) < 0)
		return -ENOMEM;
	r = run_program_read(spec->payload, PAYLOAD_MAX_BYTES, &p->payload, "",
			     err, err_size);
	if (!r)
		r = run_program_read(signature ?: beside,
				     PAYLOAD_SIGNATURE_MAX_BYTES, &p->signature,
				     ": a payload runs only with its signature "
				     "(--signature FILE)",
				     err, err_size);
	return r;
}

static int run_program_verify(const struct run_program *p,
			      const struct run_program_spec *spec, char *err,
			      size_t err_size)
{
	int r = payload_verify(&p->key, p->payload.data, p->payload.len,
			       (const char *)p->signature.data,
			       p->signature.len);

	if (!r)
		return 0;
	snprintf(err, err_size, "refused to run %s: %s", spec->payload,
		 r == PAYLOAD_E_SIGNATURE
			 ? "it was altered after it was signed, or was signed "
			   "with another key than --key's: get it again, or "
			   "the key that belongs to it"
			 : "its signature is not one (base64 of an ECDSA P-256 "
			   "signature): get the .sig file again");
	return -EACCES;
}

/* The block of the manifest, whose type is the interpreter. */
static int run_program_config(const json_t *manifest,
			      struct runtime_config **out, struct buf *why)
{
	_cleanup_json_ json_t *block = json_copy(
		json_object_get(manifest, "runtime"));

	if (!block)
		block = json_object();
	if (json_object_set(block, "type",
			    json_object_get(manifest, "interpreter")))
		return -ENOMEM;
	return runtime_config_from_json(out, RUNTIME_KIND_JOB, block, why);
}

static int run_program_assign(struct run_program *p,
			      const struct run_program_spec *spec,
			      const json_t *manifest,
			      const struct runtime_config *config, char *err,
			      size_t err_size)
{
	const struct runtime_config_options *o = runtime_config_get(config);
	const struct runtime_allow *net = &o->permissions.net;

	if (!net->all && net->items) {
		snprintf(err, err_size,
			 "%s may reach some hosts only (net: a list), which "
			 "needs an orchestrator's proxy: submit it as a job, "
			 "or pack it with net: true",
			 spec->payload);
		return -ENOTSUP;
	}
	p->keep_net = net->all;
	p->timeout_ms = o->timeout_ms;
	p->memory_bytes = (uint64_t)o->max_memory_mb * 1024 * 1024;
	p->assign = run_assign_new(
		&(struct run_assign){
			.manifest = manifest,
			.config = config,
			.args = spec->args,
			.signature = (const char *)p->signature.data,
			.payload_bytes = p->payload.len,
		},
		err, err_size);
	return p->assign ? 0 : -EINVAL;
}

static int run_program_inspect(struct run_program *p,
			       const struct run_program_spec *spec, char *err,
			       size_t err_size)
{
	_cleanup_(runtime_config_freep) struct runtime_config *config = NULL;
	_cleanup_(buf_deinit) struct buf why = { 0 };
	struct payload_info info = { 0 };
	int r;

	r = payload_inspect(p->payload.data, p->payload.len, &info, &why);
	if (!r)
		r = run_program_config(info.manifest, &config, &why);
	if (!r)
		r = run_program_assign(p, spec, info.manifest, config, err,
				       err_size);
	else
		snprintf(err, err_size, "cannot run %s: %s", spec->payload,
			 buf_cstr(&why) && why.len ? (char *)why.data
						   : strerror(-r));
	payload_info_deinit(&info);
	return r > 0 ? -EINVAL : r;
}

int run_program_load(struct run_program *p, const struct run_program_spec *spec,
		     char *err, size_t err_size)
{
	int r;

	*p = (struct run_program){ 0 };
	if (!spec->key) {
		snprintf(err, err_size,
			 "no key to check %s with: give --key FILE, the "
			 "public key of who signed it (`cronium payload key` "
			 "prints a server's)",
			 spec->payload);
		return -EINVAL;
	}
	snprintf(err, err_size, "out of memory");
	r = key_load(&p->key, spec->key, err, err_size);
	if (!r)
		r = run_program_read_both(p, spec, err, err_size);
	if (!r && !buf_cstr(&p->signature))
		r = -ENOMEM;
	if (!r)
		r = run_program_verify(p, spec, err, err_size);
	if (!r)
		r = run_program_inspect(p, spec, err, err_size);
	return r;
}
