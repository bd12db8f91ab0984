#include "cli/dev_script.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "common/trace.h"

#define PRELOAD "dev/preload.cjs" /* in the SDKs' directory */

/* dir/leaf in front of what the variable has. */
static int prepend(const char *name, const char *dir, const char *leaf,
		   const char *def)
{
	const char *old = getenv(name);
	_cleanup_free_ char *value = NULL;

	if (!old || !*old)
		old = def;
	if (asprintf(&value, "%s%s%s%s%s", dir, *leaf ? "/" : "", leaf,
		     old ? ":" : "", old ? old : "") < 0) {
		value = NULL;
		return -ENOMEM;
	}
	return setenv(name, value, 1) < 0 ? -errno : 0;
}

/* Where `import` of Node finds a package is not for NODE_PATH to say. */
static int preload(const char *sdk_dir)
{
	const char *old = getenv("NODE_OPTIONS");
	_cleanup_free_ char *value = NULL;

	if (asprintf(&value, "--require=\"%s/" PRELOAD "\"%s%s", sdk_dir,
		     old ? " " : "", old ? old : "") < 0) {
		value = NULL;
		return -ENOMEM;
	}
	return setenv("NODE_OPTIONS", value, 1) < 0 ? -errno : 0;
}

static int set_sdk(const struct dev_script *s)
{
	int r;

	if (!s->sdk_dir)
		return 0;
	if ((r = prepend("PYTHONPATH", s->sdk_dir, "python", NULL)) ||
	    (r = prepend("PATH", s->sdk_dir, "bash",
			 "/usr/local/bin:/usr/bin:/bin")) ||
	    (r = prepend("NODE_PATH", s->modules_dir, "", NULL)))
		return r;
	return preload(s->sdk_dir);
}

static int set_environment(const struct dev_script *s)
{
	char traceparent[TRACE_PARENT_BYTES];
	const char *const own[][2] = {
		{ "CRONIUM_RUNTIME_API", s->api },
		{ "CRONIUM_EXECUTION_TOKEN", s->token },
		{ "CRONIUM_EXECUTION_ID", s->execution },
		{ "CRONIUM_JOB_ID", s->job },
		{ "CRONIUM_EXECUTION_MODE", "dev" },
		{ "TRACEPARENT", traceparent },
	};

	trace_parent(s->trace, traceparent);
	for (size_t i = 0; i < ARRAY_SIZE(own); i++)
		if (setenv(own[i][0], own[i][1], 1) < 0)
			return -errno;
	/* One's own, to see how a script takes another. */
	if (setenv("CRONIUM_ENVIRONMENT", "development", 0) < 0)
		return -errno;
	return set_sdk(s);
}

static void script_exec(const struct dev_script *s, pid_t parent)
{
	sigset_t none;
	int r;

	prctl(PR_SET_PDEATHSIG, SIGTERM);
	if (getppid() != parent)
		_exit(0);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	signal(SIGPIPE, SIG_DFL);
	if (s->stdout_is_ours)
		dup2(STDERR_FILENO, STDOUT_FILENO);
	r = set_environment(s);
	if (!r) {
		execvp(s->argv[0], s->argv);
		r = -errno;
	}
	dprintf(STDERR_FILENO, "cronium: cannot run %s: %s\n", s->argv[0],
		strerror(-r));
	_exit(r == -ENOENT ? 127 : 126);
}

pid_t dev_script_start(const struct dev_script *s)
{
	pid_t parent = getpid(), pid = fork();

	if (pid < 0)
		return -errno;
	if (!pid)
		script_exec(s, parent);
	return pid;
}
