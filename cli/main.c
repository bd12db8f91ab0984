#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "backend-client/tls.h"
#include "cli/command.h"
#include "cli/output.h"

static const struct command *const commands[] = {
	&command_run,    &command_submit, &command_exec,    &command_send,
	&command_tail,   &command_jobs,   &command_job,     &command_logs,
	&command_cancel, &command_pack,   &command_payload, &command_vars,
	&command_tools,  &command_hosts,  &command_session, &command_agents,
	&command_agent,  &command_top,    &command_audit,   &command_wal,
	&command_up,     &command_doctor, &command_dev,     &command_migrate,
};

static void main_help(void)
{
	printf("Cronium runs scripts in isolated pods.\n\n"
	       "usage: cronium COMMAND [OPTIONS]\n\n");
	for (size_t i = 0; i < ARRAY_SIZE(commands); i++)
		printf("  %-8s %s\n", commands[i]->name, commands[i]->summary);
	printf("\n`cronium COMMAND --help` says more. Without a server "
	       "configured, commands\nrun one of their own for as long as "
	       "they need it.\n`cronium version` says which one this is.\n");
}

static bool main_speaks_to_server(const struct command *c)
{
	for (size_t i = 0; i < c->n_options; i++)
		if (!strcmp(c->options[i].name, "server"))
			return true;
	return false;
}

static void command_help(const struct command *c)
{
	printf("usage: cronium %s [OPTIONS]%s%s\n\n%s.\n\n", c->name,
	       *c->words ? " " : "", c->words, c->summary);
	options_help(c->options, c->n_options);
	if (c->details)
		printf("\n%s", c->details);
	if (main_speaks_to_server(c))
		printf("\nThe server is the first there is of: --server or "
		       "$CRONIUM_URL (key: $CRONIUM_API_KEY,\ncertificates: "
		       "$CRONIUM_CA_FILE); url, api_key and ca_file in "
		       "~/.config/cronium/config;\nthe one that runs here; an "
		       "embedded one that ends when it is not needed any "
		       "more.\n");
}

static const struct command *main_find(const char *name)
{
	for (size_t i = 0; i < ARRAY_SIZE(commands); i++)
		if (!strcmp(commands[i]->name, name))
			return commands[i];
	return NULL;
}

static int main_check_words(const struct command *c, size_t n)
{
	if (n >= c->words_min && n <= c->words_max)
		return 0;
	output_error("usage: cronium %s [OPTIONS]%s%s (`cronium %s --help` "
		     "says more)",
		     c->name, *c->words ? " " : "", c->words, c->name);
	return -EINVAL;
}

static int main_run(const struct command *c, int argc, char **argv)
{
	void *options = calloc(1, c->options_bytes);
	char err[512];
	int first, exit_code;

	if (!options) {
		output_error("out of memory");
		return CLI_FAILED;
	}
	if (options_parse(c->options, c->n_options, argc, argv, c->words_any,
			  options, &first, err, sizeof(err)) < 0) {
		output_error("%s", err);
		exit_code = CLI_USAGE;
	} else if (((struct cli_globals *)options)->help &&
		   !(c->words_help && first < argc)) {
		command_help(c);
		exit_code = CLI_OK;
	} else if (main_check_words(c, (size_t)(argc - first)) < 0) {
		exit_code = CLI_USAGE;
	} else {
		exit_code = c->run(options, argv + first,
				   (size_t)(argc - first));
	}
	if (c->free_options)
		c->free_options(options);
	free(options);
	return exit_code;
}

static int main_unknown(const char *name)
{
	output_error("there is no command '%s'; `cronium help` lists them",
		     name);
	return CLI_USAGE;
}

static bool main_is(const char *word, const char *a, const char *b,
		    const char *c)
{
	return !strcmp(word, a) || !strcmp(word, b) || !strcmp(word, c);
}

static int main_dispatch(int argc, char **argv)
{
	const char *word = argc < 2 ? "help" : argv[1];
	const struct command *c = main_find(word);

	if (c)
		return main_run(c, argc - 1, argv + 1);
	if (main_is(word, "version", "--version", "-V")) {
		printf("cronium %s\n", CRONIUM_VERSION);
		return CLI_OK;
	}
	if (!main_is(word, "help", "--help", "-h"))
		return main_unknown(word);
	if (argc <= 2) {
		main_help();
		return argc < 2 ? CLI_USAGE : CLI_OK;
	}
	c = main_find(argv[2]);
	if (!c)
		return main_unknown(argv[2]);
	command_help(c);
	return CLI_OK;
}

/* A full disk under a redirected stdout shows when its buffer is written. */
static int main_flush(int exit_code)
{
	if (!fflush(stdout) && !ferror(stdout))
		return exit_code;
	if (errno != EPIPE)
		output_error("cannot write to stdout: %s", strerror(errno));
	return exit_code == CLI_OK ? CLI_FAILED : exit_code;
}

int main(int argc, char **argv)
{
	signal(SIGPIPE, SIG_IGN);
	backend_client_tls_enable();
	output_init();
	return main_flush(main_dispatch(argc, argv));
}
