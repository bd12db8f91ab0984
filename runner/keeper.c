#include "runner/keeper.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/close_range.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "common/buf.h"
#include "common/file.h"
#include "common/log.h"
#include "runner/doors.h"
#include "runner/permit.h"
#include "runner/pod.h"
#include "runner/relay.h"
#include "runner/runner.h"
#include "runner/tree.h"
#include "runner/work_dir.h"

#define KEEPER_KILL_MS 1500 /* then what the kernel cannot kill is left */

struct keeper {
	struct event_base *base;
	struct runner_config config;
	struct work_dir dir;
	struct doors doors;
	struct relay *relays[DOORS_MAX];
	size_t n_relays;
	struct frame_stream *stream;
	pid_t pid; /* of the runner; 0: none */
};

/* What the runner's process keeps of ours. */
struct keeper_child {
	int control, said; /* said: the pod's word; -1 without one */
};

int keeper_new(struct keeper **out, struct event_base *base,
	       const struct runner_config *config, char *err, size_t err_size)
{
	struct keeper *k = calloc(1, sizeof(*k));
	int r;

	if (!k) {
		snprintf(err, err_size, "out of memory");
		return -ENOMEM;
	}
	k->base = base;
	k->config = *config;
	r = tree_init();
	if (r < 0)
		snprintf(err, err_size, "cannot adopt processes: %s",
			 strerror(-r));
	else
		r = work_dir_make(&k->dir, err, err_size);
	if (r < 0) {
		free(k);
		return r;
	}
	*out = k;
	return 0;
}

const char *keeper_work_dir(const struct keeper *k)
{
	return k->dir.work;
}

void keeper_free(struct keeper *k)
{
	int r;

	if (!k)
		return;
	frame_stream_close(k->stream);
	for (size_t i = 0; i < k->n_relays; i++)
		relay_free(k->relays[i]);
	if (k->pid > 0)
		kill(k->pid, SIGKILL);
	tree_kill_all(KEEPER_KILL_MS);
	r = work_dir_remove(&k->dir);
	if (r < 0)
		log_error("-",
			  "cannot remove the work directory: %s: the next "
			  "runner tries again",
			  strerror(-r));
	free(k);
}

/* Whether the script may do everything: then it has no pod. */
static bool keeper_allows_all(const json_t *assign)
{
	struct permit p;

	return !permit_parse(&p, assign) && permit_is_open(&p);
}

static void keeper_close_others(const int *keep, size_t n)
{
	unsigned int from = STDERR_FILENO + 1;

	/* In ascending order; few. */
	for (;;) {
		unsigned int next = ~0U;

		for (size_t i = 0; i < n; i++) {
			if (keep[i] >= (int)from && (unsigned)keep[i] < next)
				next = (unsigned int)keep[i];
		}
		if (next > from)
			close_range(from, next == ~0U ? ~0U : next - 1, 0);
		if (next == ~0U)
			return;
		from = next + 1;
	}
}

/* In the runner's process: what is the keeper's must end with the keeper. */
static void keeper_child_prepare(struct keeper *k, const struct keeper_child *c)
{
	const int keep[] = { c->control, c->said, k->dir.lock_fd };
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);

	setsid();
	if (null < 0 || dup2(null, STDIN_FILENO) < 0 ||
	    dup2(null, STDOUT_FILENO) < 0)
		_exit(EXIT_FAILURE);
	keeper_close_others(keep, ARRAY_SIZE(keep));
}

/* Does not return. */
static void keeper_child(struct keeper *k, const struct keeper_child *c,
			 const struct pod_spec *pod)
{
	struct runner *runner;
	int code = EXIT_FAILURE, r;

	keeper_child_prepare(k, c);
	if (c->said >= 0) {
		pod_enter(pod, c->said);
		close(c->said);
		k->config.limits.on_host = true;
	} else {
		k->config.limits.no_pod = true;
	}
	r = runner_new(&runner, c->control, &k->config);
	if (r < 0) {
		log_error("-", "cannot start the runner: %s", strerror(-r));
	} else {
		code = runner_run(runner);
		runner_free(runner);
	}
	work_dir_remove(&k->dir);
	_exit(code);
}

/* Into a directory that is new and its own. Not to survive anything: nothing
 * waits for the disk. */
static int keeper_write_file(const char *path, const struct buf *text)
{
	_cleanup_close_ int fd =
		open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	int r = fd < 0 ? -errno : file_write_all(fd, text->data, text->len);

	return !r && fchmod(fd, 0644) < 0 ? -errno : r;
}

/* The file that becomes the pod's /etc/hosts; NULL when nobody needs one. */
static int keeper_write_hosts(struct keeper *k, char *path, size_t path_size,
			      const char **out)
{
	struct buf text = { 0 };
	int r, n;

	*out = NULL;
	if (!k->doors.n || access("/etc/hosts", F_OK) < 0)
		return 0;
	n = snprintf(path, path_size, "%s/hosts", k->dir.path);
	if (n < 0 || (size_t)n >= path_size)
		return -ENAMETOOLONG;
	r = doors_append_hosts(&k->doors, &text);
	if (!r)
		r = keeper_write_file(path, &text);
	buf_deinit(&text);
	*out = path;
	return r;
}

static int keeper_take_listeners(struct keeper *k, const struct pod_said *said)
{
	int r = 0;

	for (size_t i = 0; i < said->n; i++) {
		if (r < 0 || i >= k->doors.n) {
			close(said->listeners[i]);
			continue;
		}
		r = relay_new(&k->relays[k->n_relays], k->base,
			      said->listeners[i], &k->doors.items[i]);
		if (!r)
			k->n_relays++;
	}
	return r;
}

static void keeper_explain(char *err, size_t err_size, const char *why)
{
	snprintf(err, err_size,
		 "this host lets the runner make no pod to confine the job in "
		 "(%s): allow user namespaces there, or run a job that you "
		 "trust with --allow-all",
		 why);
}

static int keeper_fork_pod(struct keeper *k, struct pod_spec *pod,
			   struct keeper_child *c, int control, char *err,
			   size_t err_size)
{
	struct pod_said said = { 0 };
	int word[2], r;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, word) < 0)
		return -errno;
	c->said = word[1];
	k->pid = pod_fork(pod);
	if (k->pid == 0)
		keeper_child(k, c, pod);
	close(word[1]);
	if (k->pid < 0) {
		r = k->pid;
		k->pid = 0;
		snprintf(said.why, sizeof(said.why), "%s", strerror(-r));
	} else {
		r = pod_wait(word[0], &said);
	}
	close(word[0]);
	if (r < 0)
		keeper_explain(err, err_size, said.why);
	else
		r = keeper_take_listeners(k, &said);
	return r;
}

static int keeper_fork(struct keeper *k, bool alone, bool keep_net, int theirs,
		       char *err, size_t err_size)
{
	struct keeper_child c = { .control = theirs, .said = -1 };
	char hosts[PATH_MAX];
	struct pod_spec pod = {
		.doors = &k->doors,
		.keep_net = keep_net,
		.uid = geteuid(),
		.gid = getegid(),
	};
	int r;

	if (!alone) {
		r = keeper_write_hosts(k, hosts, sizeof(hosts), &pod.hosts);
		return r < 0 ? r
			     : keeper_fork_pod(k, &pod, &c, theirs, err,
					       err_size);
	}
	k->pid = fork();
	if (k->pid == 0)
		keeper_child(k, &c, NULL);
	return k->pid < 0 ? -errno : 0;
}

/* Node's import knows no search path: it looks into node_modules beside the
 * work dir, and above. */
static int keeper_link_modules(struct keeper *k, const json_t *assign)
{
	const char *modules = json_get_str(assign, "modules_dir", "");
	char path[PATH_MAX + sizeof("/node_modules")];

	if (!*modules)
		return 0;
	snprintf(path, sizeof(path), "%s/node_modules", k->dir.path);
	return symlink(modules, path) < 0 ? -errno : 0;
}

int keeper_start(struct keeper *k, const json_t *assign, bool keep_net,
		 const struct frame_stream_ops *ops, void *ctx,
		 struct frame_stream **stream, char *err, size_t err_size)
{
	bool alone = keeper_allows_all(assign);
	int fds[2], r;

	err[0] = '\0';
	r = keeper_link_modules(k, assign);
	if (!r && !alone) {
		r = doors_parse(&k->doors, json_object_get(assign, "doors"),
				err, err_size);
		if (!r)
			r = doors_resolve(&k->doors, err, err_size);
	}
	if (!r && socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) < 0)
		r = -errno;
	if (r < 0)
		goto out;
	r = keeper_fork(k, alone, keep_net, fds[1], err, err_size);
	close(fds[1]);
	if (r < 0)
		close(fds[0]);
	else
		r = frame_stream_new(&k->stream, k->base, fds[0], ops, ctx);
	*stream = k->stream;
out:
	if (r < 0 && !err[0])
		snprintf(err, err_size, "cannot start the runner: %s",
			 strerror(-r));
	return r;
}
