#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>

#include "common/again.h"
#include "common/log.h"
#include "common/options.h"
#include "common/unix_socket.h"
#include "runner/install.h"
#include "runner/key.h"
#include "runner/remote.h"
#include "runner/run.h"
#include "runner/runner.h"
#include "runner/tree.h"

struct main_options {
	const char *control, *again;
	const char *key;
	struct limits limits;
	bool stdio, help, version;
};

static const struct option_spec main_specs[] = {
	{ "control", 0, OPTION_STRING, offsetof(struct main_options, control),
	  "PATH|fd:N", "/run/cronium/control.sock",
	  "the orchestrator's control socket, or an inherited one" },
	{ "again", 0, OPTION_STRING, offsetof(struct main_options, again),
	  "PATH|dir:N", NULL,
	  "where to connect when the orchestrator was away: a socket, or the "
	  "directory of control.sock, inherited; default: --control's path" },
	{ "stdio", 0, OPTION_FLAG, offsetof(struct main_options, stdio), NULL,
	  NULL, "a control stream on stdin and stdout instead, for a host" },
	{ "key", 0, OPTION_STRING, offsetof(struct main_options, key),
	  "FILE|base64:DER", NULL,
	  "public key that programs must be signed with" },
	{ "limit-memory", 0, OPTION_BYTES,
	  offsetof(struct main_options, limits.memory_bytes), "BYTES", NULL,
	  "of each process, where no cgroup limits the pod" },
	{ "limit-processes", 0, OPTION_UINT,
	  offsetof(struct main_options, limits.processes), "N", NULL,
	  "the same for the number of processes" },
	{ "help", 'h', OPTION_FLAG, offsetof(struct main_options, help), NULL,
	  NULL, "print this and exit" },
	{ "version", 0, OPTION_FLAG, offsetof(struct main_options, version),
	  NULL, NULL, "print the version and exit" },
};

static int main_connect_path(const char *path)
{
	struct sockaddr_un addr;
	int r = unix_socket_address(&addr, path);

	return r < 0 ? r : unix_socket_connect(&addr, 0);
}

/* A descriptor or negative errno. */
static int main_connect(const char *control)
{
	uint64_t fd;

	if (strncmp(control, "fd:", 3))
		return main_connect_path(control);
	if (option_parse_uint(control + 3, &fd) < 0 || fd > 1024)
		return -EBADF;
	return (int)fd;
}

/* Where there is nothing, a lost stream is the end. 0 or negative errno. */
static int main_find_again(const struct main_options *o,
			   struct sockaddr_un *address,
			   struct runner_config *config)
{
	bool inherited = !strncmp(o->control, "fd:", 3);
	const char *where = o->again ?: inherited ? NULL : o->control;
	int r;

	if (!where)
		return 0;
	r = again_address(address, where, AGAIN_CONTROL);
	if (r < 0)
		log_error("-",
			  "--again %s: %s; it is a path, or dir:N of an "
			  "inherited descriptor",
			  where, strerror(-r));
	else
		config->again = address;
	return r;
}

static int main_parse(int argc, char **argv, struct main_options *o)
{
	char err[256];
	int first;

	if (options_parse(main_specs, ARRAY_SIZE(main_specs), argc, argv, false,
			  o, &first, err, sizeof(err)) < 0 ||
	    (first < argc && snprintf(err, sizeof(err),
				      "unexpected argument %s", argv[first]))) {
		fprintf(stderr, "cronium-runner: %s\n", err);
		return -EINVAL;
	}
	return 0;
}

static void main_help(void)
{
	puts("Usage: cronium-runner [OPTION]...\n"
	     "       cronium-runner run PAYLOAD --key FILE [OPTION]... "
	     "[-- ARG...]\n"
	     "       cronium-runner install DIR --sha256 HEX\n"
	     "Runs one script for the orchestrator that it is connected "
	     "to.\n");
	options_help(main_specs, ARRAY_SIZE(main_specs));
}

static int main_run(const struct main_options *o,
		    const struct runner_config *config)
{
	_cleanup_(runner_freep) struct runner *runner = NULL;
	int fd, r;

	if (o->stdio)
		return remote_run(config);
	fd = main_connect(o->control);
	r = fd < 0 ? fd : runner_new(&runner, fd, config);
	if (r < 0) {
		log_error("-", "cannot reach the orchestrator at %s: %s",
			  o->control, strerror(-r));
		return EXIT_FAILURE;
	}
	return runner_run(runner);
}

/* Without a key it starts all the same: what is assigned is refused with a
 * reason that reaches the job's log. */
static int main_start(const struct main_options *o)
{
	struct runner_config config = {
		.limits = o->limits,
		.in_pod = tree_is_pid1(),
		.own_cgroup = tree_is_pid1() && !o->stdio,
	};
	struct sockaddr_un again;
	struct payload_key key;
	char err[256];

	if (main_find_again(o, &again, &config) < 0)
		return EXIT_FAILURE;
	if (o->key && key_load(&key, o->key, err, sizeof(err)) < 0) {
		log_error("-", "%s", err);
		return EXIT_FAILURE;
	}
	if (o->key)
		config.key = &key;
	return main_run(o, &config);
}

int main(int argc, char **argv)
{
	struct main_options o = { 0 };

	/* The script must not read our memory or descriptors through /proc. */
	prctl(PR_SET_DUMPABLE, 0);
	log_init("runner", LOG_LEVEL_INFO);
	if (argc > 1 && !strcmp(argv[1], "run"))
		return run_main(argc - 1, argv + 1);
	if (argc > 1 && !strcmp(argv[1], "install"))
		return install_main(argc - 1, argv + 1);
	if (main_parse(argc, argv, &o) < 0)
		return 2;
	if (o.help || o.version) {
		if (o.help)
			main_help();
		else
			puts(CRONIUM_VERSION);
		return EXIT_SUCCESS;
	}
	return main_start(&o);
}
