/*
 * The SSH executor: pods on registered hosts, reached over SSH.
 */
#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <libssh2.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "common/buf.h"
#include "common/file.h"
#include "common/options.h"
#include "orchestrator/executor.h"
#include "orchestrator/ssh_auth.h"
#include "orchestrator/ssh_bundle.h"
#include "orchestrator/ssh_pod.h"
#include "orchestrator/ssh_pool.h"

#define EXECUTOR_SSH_KNOWN_MAX_BYTES (4UL * 1024 * 1024)

struct executor {
	struct ssh_pod_shared shared;
	const struct executor_config *config;
	struct ssh_pods pods;
	struct ssh_keyring keys;
	struct ssh_bundle *bundle; /* read when the first job comes */
	void (*reaped)(void *ctx);
	void *reaped_ctx;
	bool library;
};

static void executor_ssh_free_keys(struct ssh_keyring *keys)
{
	for (size_t i = 0; i < keys->n_files; i++)
		free(keys->files[i]);
	free(keys->agent);
	free(keys->known);
}

static void executor_ssh_free(struct executor *e)
{
	struct executor_pod *pod;

	if (!e)
		return;
	while ((pod = TAILQ_FIRST(&e->pods)))
		ssh_pod_free(pod);
	ssh_pool_free(e->shared.pool);
	ssh_bundle_free(e->bundle);
	executor_ssh_free_keys(&e->keys);
	closep(&e->shared.sidecar_fd);
	closep(&e->shared.backend_fd);
	closep(&e->shared.null_fd);
	if (e->library)
		libssh2_exit();
	free(e);
}

/* --- keys ----------------------------------------------------------------- */

static int executor_ssh_add_key(struct executor *e, const char *path)
{
	struct ssh_keyring *keys = &e->keys;

	if (keys->n_files == SSH_AUTH_FILES_MAX)
		return 0;
	keys->files[keys->n_files] = strdup(path);
	if (!keys->files[keys->n_files])
		return -ENOMEM;
	keys->n_files++;
	return 0;
}

static int executor_ssh_add_default_keys(struct executor *e, const char *home)
{
	static const char *const names[] = { "id_ed25519", "id_ecdsa",
					     "id_rsa" };
	char path[PATH_MAX];
	int r = 0;

	for (size_t i = 0; !r && i < ARRAY_SIZE(names); i++) {
		snprintf(path, sizeof(path), "%s/.ssh/%s", home, names[i]);
		r = executor_ssh_add_key(e, path);
	}
	return r;
}

static int executor_ssh_read_known(struct executor *e, const char *home,
				   char *err, size_t err_size)
{
	const char *path = e->config->ssh_known_hosts;
	struct buf text = { 0 };
	char own[PATH_MAX];
	_cleanup_close_ int fd = -1;
	int r = 0;

	snprintf(own, sizeof(own), "%s/.ssh/known_hosts", home);
	fd = open(path ? path : own, O_RDONLY | O_CLOEXEC);
	if (fd < 0 && !path)
		return 0;
	r = fd < 0 ? -errno
		   : file_read_all(fd, EXECUTOR_SSH_KNOWN_MAX_BYTES, &text);
	if (!r) {
		free(e->keys.known);
		e->keys.known = buf_take(&text, NULL);
	} else if (err) {
		snprintf(err, err_size, "--ssh-known-hosts %s: %s",
			 path ? path : own, strerror(-r));
	}
	buf_deinit(&text);
	return r;
}

static int executor_ssh_find_keys(struct executor *e, char *err,
				  size_t err_size)
{
	const char *home = getenv("HOME"), *agent = getenv("SSH_AUTH_SOCK");
	const struct option_list *files = e->config->ssh_keys;
	int r = 0;

	if (!home)
		home = "/root";
	for (size_t i = 0; !r && files && i < files->n; i++)
		r = executor_ssh_add_key(e, files->items[i]);
	if (!r && (!files || !files->n))
		r = executor_ssh_add_default_keys(e, home);
	if (!r && agent && *agent) {
		e->keys.agent = strdup(agent);
		r = e->keys.agent ? 0 : -ENOMEM;
	}
	return r ? r : executor_ssh_read_known(e, home, err, err_size);
}

/* --- life ----------------------------------------------------------------- */

static int executor_ssh_open(struct executor *e, char *err, size_t err_size)
{
	const char *what = e->config->sidecar_path;

	e->shared.sidecar_fd = open(what, O_PATH | O_CLOEXEC);
	if (e->shared.sidecar_fd >= 0) {
		what = e->config->backend_dir;
		e->shared.backend_fd = open(what,
					    O_PATH | O_DIRECTORY | O_CLOEXEC);
	}
	if (e->shared.backend_fd >= 0) {
		what = "/dev/null";
		e->shared.null_fd = open(what, O_RDWR | O_CLOEXEC);
	}
	if (e->shared.null_fd >= 0)
		return 0;
	snprintf(err, err_size, "ssh: no %s: %s", what, strerror(errno));
	return -ENOENT;
}

static int executor_ssh_init(struct executor *e, char *err, size_t err_size)
{
	int r = executor_ssh_find_keys(e, err, err_size);

	if (!r)
		r = executor_ssh_open(e, err, err_size);
	if (r < 0)
		return r;
	if (libssh2_init(0) != 0) {
		snprintf(err, err_size, "ssh: libssh2 does not work");
		return -EIO;
	}
	e->library = true;
	return 0;
}

static int executor_ssh_new(struct executor **out,
			    const struct executor_config *config, char *err,
			    size_t err_size)
{
	struct executor *e = calloc(1, sizeof(*e));
	int r;

	*out = NULL;
	if (!e)
		return -ENOMEM;
	TAILQ_INIT(&e->pods);
	e->config = config;
	e->shared = (struct ssh_pod_shared){
		.base = config->base,
		.run_dir = config->run_dir,
		.gateway_url = config->gateway_url,
		.log_level = config->log_level,
		.log_format = config->log_format,
		.sidecar_fd = -1,
		.backend_fd = -1,
		.null_fd = -1,
		.root = geteuid() == 0,
	};
	r = executor_ssh_init(e, err, err_size);
	if (r < 0) {
		executor_ssh_free(e);
		return r;
	}
	*out = e;
	return 0;
}

static void executor_ssh_on_reaped(int fd, short what, void *ctx)
{
	struct executor *e = ctx;

	e->reaped(e->reaped_ctx);
}

/* A runner ends when its connection does, so nothing is ever left. */
static void executor_ssh_reap(struct executor *e,
			      const struct executor_spare *spare,
			      void (*done)(void *ctx), void *ctx)
{
	const struct timeval now = { 0, 0 };

	e->reaped = done;
	e->reaped_ctx = ctx;
	if (event_base_once(e->config->base, -1, EV_TIMEOUT,
			    executor_ssh_on_reaped, e, &now) < 0)
		done(ctx);
}

/* Reading what is uploaded takes a moment that other jobs need not wait
 * for. */
static int executor_ssh_prepare(struct executor *e)
{
	char err[256] = "";
	int r;

	if (e->shared.pool)
		return 0;
	r = ssh_bundle_new(&e->bundle, e->config->runner_path,
			   e->config->sdk_dir, err, sizeof(err));
	if (r < 0)
		return r;
	return ssh_pool_new(&e->shared.pool, e->config->base, &e->keys,
			    e->bundle);
}

static int executor_ssh_create(struct executor *e,
			       const struct executor_spec *spec,
			       const struct executor_events *events, void *ctx,
			       struct executor_pod **out)
{
	int r;

	*out = NULL;
	if (!spec->host)
		return -EDESTADDRREQ;
	r = executor_ssh_prepare(e);
	if (r < 0)
		return r;
	/* Somebody may have accepted a key meanwhile. */
	(void)!executor_ssh_read_known(e, getenv("HOME") ? getenv("HOME") : "",
				       NULL, 0);
	return ssh_pod_new(&e->shared, &e->pods, spec, events, ctx, out);
}

/* The kernel of the host tells nobody else. */
static bool executor_ssh_oom_killed(struct executor_pod *pod)
{
	return false;
}

const struct executor_ops executor_ssh = {
	.name = "ssh",
	.remote = true,
	.new = executor_ssh_new,
	.free = executor_ssh_free,
	.reap = executor_ssh_reap,
	.create = executor_ssh_create,
	.place = ssh_pod_place,
	.kill = ssh_pod_kill,
	.oom_killed = executor_ssh_oom_killed,
	.destroy = ssh_pod_destroy,
};
