/*
 * How long it takes until those who watch are told of a write.
 *
 *     bench_watch WATCHERS WRITES DIR PUBLISH_PORT WATCH_PORT...
 *
 * The watchers take the WATCH_PORTs in turn; one of the first sends DIR/watch.0
 * once, of the second DIR/watch.1, and is ready when DIR/watching has come
 * back. Then DIR/publish is sent WRITES times on a connection of its own, each
 * NUMBER in it replaced by the number of the write (which is as long), when
 * all have been told of the one before and DIR/reply was in its reply. Prints
 * JSON: of each write the microseconds from its first byte to the reply, and to
 * its number at each watcher. Loopback, and no protocol: the files say what is
 * spoken.
 */
#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/clock.h"

#define NUMBER "########"
#define NUMBER_LEN (sizeof(NUMBER) - 1)
#define TEXT_MAX 8192
#define WATCHERS_MAX 256
#define TIMEOUT_MS 30000

struct peer {
	int fd;
	char text[TEXT_MAX + 1]; /* the end of what has come */
	size_t len;
	int64_t told_us;
};

struct bench {
	struct peer publisher, watchers[WATCHERS_MAX];
	size_t n_watchers;
	char watching[TEXT_MAX + 1];
	char publish[TEXT_MAX + 1], reply[TEXT_MAX + 1];
	const char *number; /* of the write under way */
};

static _Noreturn void die(const char *what)
{
	fprintf(stderr, "bench_watch: %s\n", what);
	exit(1);
}

static void read_text(const char *dir, const char *name, char *out)
{
	char path[4096];
	ssize_t n = -1;
	int fd;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd >= 0)
		n = read(fd, out, TEXT_MAX);
	if (n <= 0)
		die("DIR has not all files");
	close(fd);
	out[n] = '\0';
}

static void peer_connect(struct peer *p, uint16_t port)
{
	const struct sockaddr_in address = {
		.sin_family = AF_INET,
		.sin_port = htons(port),
		.sin_addr = { htonl(INADDR_LOOPBACK) },
	};
	int one = 1;

	p->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (p->fd < 0 || connect(p->fd, (const struct sockaddr *)&address,
				 sizeof(address)) < 0)
		die("cannot connect");
	setsockopt(p->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
}

static void peer_send(const struct peer *p, const char *text)
{
	ssize_t n = (ssize_t)strlen(text);

	if (write(p->fd, text, (size_t)n) != n)
		die("cannot send");
}

/* What is old makes room. */
static void peer_read(struct peer *p)
{
	ssize_t n;

	if (p->len > TEXT_MAX / 2) {
		memmove(p->text, p->text + p->len - TEXT_MAX / 4, TEXT_MAX / 4);
		p->len = TEXT_MAX / 4;
	}
	n = read(p->fd, p->text + p->len, TEXT_MAX - p->len);
	if (n <= 0)
		die("a connection ended");
	p->len += (size_t)n;
	p->text[p->len] = '\0';
}

static int peer_has(struct peer *p, const char *mark)
{
	return strstr(p->text, mark) != NULL;
}

static void peer_forget(struct peer *p)
{
	p->len = 0;
	p->text[0] = '\0';
	p->told_us = -1;
}

static void start_watcher(const struct bench *b, struct peer *p,
			  const char *dir, int nth_port, uint16_t port)
{
	char name[32], text[TEXT_MAX + 1];

	snprintf(name, sizeof(name), "watch.%d", nth_port);
	read_text(dir, name, text);
	peer_connect(p, port);
	peer_send(p, text);
	while (!peer_has(p, b->watching)) {
		if (strstr(p->text, "HTTP/1.1 4"))
			die("a watcher is refused");
		peer_read(p);
	}
}

/* Until the reply has come and every watcher was told. */
static void wait_all(struct bench *b, uint64_t start_us)
{
	struct pollfd fds[WATCHERS_MAX + 1];
	struct peer *peers[WATCHERS_MAX + 1];
	size_t left = b->n_watchers + 1, i;

	for (i = 0; i <= b->n_watchers; i++) {
		peers[i] = i ? &b->watchers[i - 1] : &b->publisher;
		fds[i] = (struct pollfd){ peers[i]->fd, POLLIN, 0 };
	}
	while (left) {
		if (poll(fds, b->n_watchers + 1, TIMEOUT_MS) <= 0)
			die("somebody was not told in time");
		for (i = 0; i <= b->n_watchers; i++) {
			if (!fds[i].revents)
				continue;
			peer_read(peers[i]);
			if (peers[i]->told_us < 0 &&
			    peer_has(peers[i], i ? b->number : b->reply)) {
				peers[i]->told_us = (int64_t)(clock_mono_us() -
							      start_us);
				left--;
			}
		}
	}
}

static void write_once(struct bench *b, unsigned int number)
{
	char digits[NUMBER_LEN + 1], request[TEXT_MAX + 1], *at;
	uint64_t start_us;
	size_t i;

	snprintf(digits, sizeof(digits), "%08u", number % 100000000);
	strcpy(request, b->publish);
	while ((at = strstr(request, NUMBER)))
		memcpy(at, digits, NUMBER_LEN);
	b->number = digits;
	peer_forget(&b->publisher);
	for (i = 0; i < b->n_watchers; i++)
		peer_forget(&b->watchers[i]);
	start_us = clock_mono_us();
	peer_send(&b->publisher, request);
	wait_all(b, start_us);
	printf("%s[%lld", number > 1 ? "," : "",
	       (long long)b->publisher.told_us);
	for (i = 0; i < b->n_watchers; i++)
		printf(",%lld", (long long)b->watchers[i].told_us);
	printf("]");
}

int main(int argc, char **argv)
{
	static struct bench b;
	unsigned int i, writes;

	if (argc < 6 || (b.n_watchers = (size_t)atoi(argv[1])) > WATCHERS_MAX)
		die("usage: bench_watch WATCHERS WRITES DIR PUBLISH_PORT "
		    "WATCH_PORT...");
	writes = (unsigned int)atoi(argv[2]);
	read_text(argv[3], "watching", b.watching);
	read_text(argv[3], "publish", b.publish);
	read_text(argv[3], "reply", b.reply);
	for (i = 0; i < b.n_watchers; i++) {
		int nth = (int)i % (argc - 5);

		start_watcher(&b, &b.watchers[i], argv[3], nth,
			      (uint16_t)atoi(argv[5 + nth]));
	}
	peer_connect(&b.publisher, (uint16_t)atoi(argv[4]));
	printf("[");
	for (i = 1; i <= writes; i++)
		write_once(&b, i);
	printf("]\n");
	return 0;
}
