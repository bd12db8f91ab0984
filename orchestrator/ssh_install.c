#include "orchestrator/ssh_install.h"

#include <errno.h>
#include <event2/event.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "orchestrator/ssh_bundle.h"
#include "orchestrator/ssh_command.h"
#include "orchestrator/ssh_connection.h"
#include "orchestrator/ssh_host.h"

#define SSH_INSTALL_DIR ".cache/cronium"
#define SSH_INSTALL_COMMAND_BYTES 2048
#define SSH_INSTALL_HELLO "cronium-probe"

enum ssh_install_step {
	SSH_INSTALL_PROBE,
	SSH_INSTALL_RUNNER,
	SSH_INSTALL_SDK,
	SSH_INSTALL_DONE,
};

struct ssh_install {
	enum ssh_install_step step;
	struct ssh_connection *connection;
	const struct ssh_bundle *bundle;
	const struct ssh_bundle_runner *runner;
	const struct ssh_install_ops *ops;
	void *ctx;
	struct ssh_command *command;
	bool has_runner, has_sdk;
	bool sdk_altered; /* it is there, and not what was put there */
	char runner_path[SSH_INSTALL_PATH_BYTES];
	char sdk_path[SSH_INSTALL_PATH_BYTES];
	char error[SSH_INSTALL_ERROR_BYTES];
};

static void ssh_install_next(struct ssh_install *i);

static const char *ssh_install_host(const struct ssh_install *i)
{
	return ssh_connection_host(i->connection)->name;
}

static void ssh_install_fail(struct ssh_install *i, const char *what,
			     const char *why)
{
	i->step = SSH_INSTALL_DONE;
	snprintf(i->error, sizeof(i->error), "host %s: %s: %s",
		 ssh_install_host(i), what, why);
	i->ops->on_done(i->ctx, i->error);
}

/* --- what is there -------------------------------------------------------- */

/* The line after *at, which is moved behind it; NULL at the end. */
static char *ssh_install_line(char **at)
{
	char *line = strsep(at, "\n");

	return line && *line ? line : NULL;
}

static void ssh_install_take_line(struct ssh_install *i, const char *line)
{
	char hash[SSH_BUNDLE_HASH_BYTES], name[128];

	if (sscanf(line, "%64s %127s", hash, name) != 2)
		return;
	if (!strcmp(name, strrchr(i->runner_path, '/') + 1) &&
	    !strcmp(hash, i->runner->hash))
		i->has_runner = true;
	if (!strcmp(name, "sdk")) {
		i->has_sdk = !strcmp(hash, i->bundle->sdk_list_hash);
		i->sdk_altered = !i->has_sdk;
	}
}

static const char *ssh_install_parse(struct ssh_install *i, char *text)
{
	char *line = ssh_install_line(&text), *home;
	int n;

	if (!line || strcmp(line, SSH_INSTALL_HELLO) != 0)
		return "the login shell of this user writes text of its own "
		       "for every command; make it silent where it is not "
		       "interactive";
	line = ssh_install_line(&text);
	home = ssh_install_line(&text);
	if (!line || !home || *home != '/')
		return "it has no home directory where programs can be put";
	if (strncmp(line, "Linux ", 6) != 0)
		return "it does not run Linux";
	i->runner = ssh_bundle_find(i->bundle, line + 6);
	if (!i->runner)
		return "there is no cronium-runner for this kind of machine "
		       "beside the orchestrator's; './dev runner' builds it";
	n = snprintf(i->runner_path, sizeof(i->runner_path),
		     "%s/" SSH_INSTALL_DIR "/runner-%s", home, i->runner->hash);
	if (i->bundle->sdk.len)
		snprintf(i->sdk_path, sizeof(i->sdk_path),
			 "%s/" SSH_INSTALL_DIR "/sdk-%.16s", home,
			 i->bundle->sdk_hash);
	if (n < 0 || (size_t)n >= sizeof(i->runner_path))
		return "the name of its home directory is too long";
	while ((line = ssh_install_line(&text)))
		ssh_install_take_line(i, line);
	return NULL;
}

static void ssh_install_on_probed(struct ssh_install *i,
				  const struct ssh_command_result *r)
{
	_cleanup_free_ char *text = strdup(r->out);
	const char *why;

	if (r->status != 0) {
		ssh_install_fail(i, "nothing can be run there", r->error);
		return;
	}
	why = text ? ssh_install_parse(i, text) : "out of memory";
	if (why)
		ssh_install_fail(i, "no job can run there", why);
	else
		ssh_install_next(i);
}

/* For any shell: single quotes, and none within. What Python compiled and the
 * stamp of `cronium-runner install` are not of the archive. */
static int ssh_install_probe(struct ssh_install *i, char *command, size_t size)
{
	char runners[SSH_BUNDLE_RUNNERS_MAX * 96] = "";

	for (size_t k = 0; k < i->bundle->n_runners; k++) {
		size_t n = strlen(runners);

		snprintf(runners + n, sizeof(runners) - n, " runner-%s",
			 i->bundle->runners[k].hash);
	}
	return snprintf(
		command, size,
		"exec sh -c 'umask 077; echo " SSH_INSTALL_HELLO
		"; uname -sm; cd && pwd && mkdir -p " SSH_INSTALL_DIR
		" && cd " SSH_INSTALL_DIR " || exit 1; "
		"sha256sum%s 2>/dev/null; cd sdk-%.16s 2>/dev/null || exit 0; "
		"l=$(find . -type f ! -path \"*/__pycache__/*\" "
		"! -name .cronium-sha256 | LC_ALL=C sort | "
		"xargs sha256sum | sha256sum); echo \"${l%%%% *} sdk\"'",
		runners, i->bundle->sdk.len ? i->bundle->sdk_hash : "none");
}

/* --- what is missing ------------------------------------------------------ */

static int ssh_install_put_runner(struct ssh_install *i, char *command,
				  size_t size)
{
	return snprintf(
		command, size,
		"exec sh -c 'umask 077; cd && cd " SSH_INSTALL_DIR
		" || exit 1; t=.runner-%.16s.$$; cat >$t; h=$(sha256sum $t); "
		"if [ \"${h%%%% *}\" = %s ]; then chmod 700 $t && "
		"mv -f $t runner-%s; else rm -f $t; "
		"echo \"what has arrived is not what was sent\" >&2; exit 1; "
		"fi'",
		i->runner->hash, i->runner->hash, i->runner->hash);
}

/* Without its stamp one that was altered is exchanged for a new one. One that
 * another connection has just put there stays: its scripts read it. */
static int ssh_install_put_sdk(struct ssh_install *i, char *command,
			       size_t size)
{
	return snprintf(command, size,
			"exec sh -c 'umask 077; cd && cd " SSH_INSTALL_DIR
			" || exit 1; s=sdk-%.16s; %sexec ./runner-%s "
			"install \"$PWD/$s\" --sha256 %s'",
			i->bundle->sdk_hash,
			i->sdk_altered ? "rm -f $s/.cronium-sha256; " : "",
			i->runner->hash, i->bundle->sdk_hash);
}

static void ssh_install_on_result(void *ctx, const struct ssh_command_result *r)
{
	struct ssh_install *i = ctx;
	struct ssh_command *command = i->command;

	i->command = NULL;
	if (i->step == SSH_INSTALL_PROBE)
		ssh_install_on_probed(i, r);
	else if (r->status != 0)
		ssh_install_fail(i,
				 i->step == SSH_INSTALL_RUNNER
					 ? "the runner cannot be put there"
					 : "the SDKs cannot be put there",
				 r->error);
	else
		ssh_install_next(i);
	ssh_command_free(command);
}

static int ssh_install_run(struct ssh_install *i)
{
	char command[SSH_INSTALL_COMMAND_BYTES];
	const struct buf *input = &(struct buf){ 0 };
	int n;

	if (i->step == SSH_INSTALL_PROBE) {
		n = ssh_install_probe(i, command, sizeof(command));
	} else if (i->step == SSH_INSTALL_RUNNER) {
		n = ssh_install_put_runner(i, command, sizeof(command));
		input = &i->runner->bytes;
	} else {
		n = ssh_install_put_sdk(i, command, sizeof(command));
		input = &i->bundle->sdk;
	}
	if (n < 0 || (size_t)n >= sizeof(command))
		return -E2BIG;
	return ssh_command_new(&i->command, i->connection, command, input->data,
			       input->len, ssh_install_on_result, i);
}

static void ssh_install_say(struct ssh_install *i, const char *what)
{
	char text[256];

	snprintf(text, sizeof(text), "putting the %s on host %s", what,
		 ssh_install_host(i));
	i->ops->on_progress(i->ctx, text);
}

/* On to the next step that is needed. */
static void ssh_install_next(struct ssh_install *i)
{
	i->step++;
	if (i->step == SSH_INSTALL_RUNNER && i->has_runner)
		i->step++;
	if (i->step == SSH_INSTALL_SDK && (i->has_sdk || !i->bundle->sdk.len))
		i->step++;
	if (i->step == SSH_INSTALL_DONE) {
		i->ops->on_done(i->ctx, NULL);
		return;
	}
	ssh_install_say(i, i->step == SSH_INSTALL_RUNNER ? "runner" : "SDKs");
	if (ssh_install_run(i) < 0)
		ssh_install_fail(i, "no command can be run", "out of memory");
}

/* --- life ----------------------------------------------------------------- */

int ssh_install_new(struct ssh_install **out, struct ssh_connection *c,
		    const struct ssh_bundle *bundle,
		    const struct ssh_install_ops *ops, void *ctx)
{
	struct ssh_install *i = calloc(1, sizeof(*i));

	*out = NULL;
	if (!i)
		return -ENOMEM;
	i->connection = c;
	i->bundle = bundle;
	i->ops = ops;
	i->ctx = ctx;
	if (ssh_install_run(i) < 0) {
		ssh_install_free(i);
		return -ENOMEM;
	}
	*out = i;
	return 0;
}

void ssh_install_free(struct ssh_install *i)
{
	if (!i)
		return;
	ssh_command_free(i->command);
	free(i);
}

const char *ssh_install_runner(const struct ssh_install *i)
{
	return i->runner_path;
}

const char *ssh_install_sdk(const struct ssh_install *i)
{
	return i->sdk_path;
}
