/*
 * How long a program takes from fork to its end, to its first byte of output,
 * or to its first good reply over HTTP.
 *
 *     bench_exec exit PROGRAM [ARG]...
 *     bench_exec output PROGRAM [ARG]...
 *     bench_exec reply PORT REQUEST EXPECTED PROGRAM [ARG]...
 *
 * reply sends REQUEST again and again, each on a connection of its own, until
 * EXPECTED is in what comes back; PROGRAM then gets SIGTERM. Prints
 * microseconds. Small on purpose: a harness in Python adds a millisecond.
 */
#include <arpa/inet.h>
#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "common/clock.h"

#define GIVE_UP_US (60 * 1000 * 1000ULL)
#define PAUSE_NS (50 * 1000)
#define REPLY_BYTES 4096

static _Noreturn void die(const char *what)
{
	fprintf(stderr, "bench_exec: %s\n", what);
	exit(1);
}

/* The child's pid; *output reads what it writes to stdout. */
static pid_t start(char **argv, int *output)
{
	int pipe_fd[2];
	pid_t pid;

	if (pipe2(pipe_fd, O_CLOEXEC) < 0)
		die("no pipe");
	pid = vfork();
	if (pid == 0) {
		dup2(pipe_fd[1], STDOUT_FILENO);
		execvp(argv[0], argv);
		_exit(127);
	}
	if (pid < 0)
		die("cannot fork");
	close(pipe_fd[1]);
	*output = pipe_fd[0];
	return pid;
}

static void drain(int output)
{
	char piece[4096];

	while (read(output, piece, sizeof(piece)) > 0)
		;
}

static void wait_for(pid_t pid, int expect_success)
{
	int status;

	if (waitpid(pid, &status, 0) < 0 || (expect_success && status))
		die("the program failed");
}

static uint64_t time_exit(char **argv)
{
	uint64_t start_us = clock_mono_us();
	int output;
	pid_t pid = start(argv, &output);

	drain(output);
	wait_for(pid, 1);
	return clock_mono_us() - start_us;
}

static uint64_t time_output(char **argv)
{
	uint64_t start_us = clock_mono_us(), took_us;
	int output;
	pid_t pid = start(argv, &output);
	char c;

	if (read(output, &c, 1) != 1)
		die("the program wrote nothing");
	took_us = clock_mono_us() - start_us;
	drain(output);
	wait_for(pid, 1);
	return took_us;
}

/* 1 when expected came back. */
static int ask(uint16_t port, const char *request, const char *expected)
{
	const struct sockaddr_in address = {
		.sin_family = AF_INET,
		.sin_port = htons(port),
		.sin_addr = { htonl(INADDR_LOOPBACK) },
	};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), found = 0;
	char reply[REPLY_BYTES + 1];
	ssize_t n;

	if (connect(fd, (const struct sockaddr *)&address, sizeof(address)) ==
		    0 &&
	    write(fd, request, strlen(request)) > 0 &&
	    (n = read(fd, reply, REPLY_BYTES)) > 0) {
		reply[n] = '\0';
		found = strstr(reply, expected) != NULL;
	}
	close(fd);
	return found;
}

static uint64_t time_reply(uint16_t port, const char *request,
			   const char *expected, char **argv)
{
	const struct timespec pause = { 0, PAUSE_NS };
	uint64_t start_us = clock_mono_us(), took_us;
	int output, found;
	pid_t pid = start(argv, &output);

	while (!(found = ask(port, request, expected)) &&
	       clock_mono_us() - start_us < GIVE_UP_US)
		nanosleep(&pause, NULL);
	took_us = clock_mono_us() - start_us;
	kill(pid, SIGTERM);
	drain(output);
	wait_for(pid, 0);
	if (!found)
		die("no good reply came");
	return took_us;
}

int main(int argc, char **argv)
{
	uint64_t us;

	signal(SIGPIPE, SIG_IGN);
	if (argc > 2 && !strcmp(argv[1], "exit"))
		us = time_exit(argv + 2);
	else if (argc > 2 && !strcmp(argv[1], "output"))
		us = time_output(argv + 2);
	else if (argc > 5 && !strcmp(argv[1], "reply"))
		us = time_reply((uint16_t)atoi(argv[2]), argv[3], argv[4],
				argv + 5);
	else
		die("usage: bench_exec exit|output|reply … PROGRAM");
	printf("%llu\n", (unsigned long long)us);
	return 0;
}
