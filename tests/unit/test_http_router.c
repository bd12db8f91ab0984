/* The router and problem documents, in front of a real server. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <event2/event.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "common/http/conn.h"
#include "common/http/problem.h"
#include "common/http/router.h"
#include "common/http/server.h"
#include "common/http/server_state.h"
#include "common/http/transport.h"

static char seen[2048]; /* what the handlers saw */

static void on_item(struct http_exchange *ex, const struct http_params *params,
		    void *ctx)
{
	snprintf(seen, sizeof(seen), "item id=%s more=%s other=%s",
		 http_param(params, "id"), http_param(params, "more"),
		 http_param(params, "other"));
	http_respond(ex, 200, NULL, 0, NULL, 0);
}

static void on_root(struct http_exchange *ex, const struct http_params *params,
		    void *ctx)
{
	snprintf(seen, sizeof(seen), "root");
	http_respond(ex, 200, NULL, 0, NULL, 0);
}

static const struct http_route ROUTES[] = {
	{ HTTP_GET, "/", on_root, 0 },
	{ HTTP_GET, "/items", on_root, 0 },
	{ HTTP_GET, "/items/special", on_root, 0 },
	{ HTTP_GET, "/items/{id}", on_item, 0 },
	{ HTTP_PUT, "/items/{id}", on_item, 0 },
	{ HTTP_POST, "/items/{id}/sub/{more}", on_item, 0 },
};

static void on_request(struct http_exchange *ex, void *ctx)
{
	const struct http_route *route;
	struct http_params params;

	route = http_route_find(ROUTES, ARRAY_SIZE(ROUTES), ex, &params);
	if (route)
		route->handler(ex, &params, ctx);
}

/* The whole reply to one request, served within this process. */
static const char *ask(const char *method, const char *path)
{
	static char reply[8192];
	struct event_base *base = event_base_new();
	struct http_peer peer = { .is_unix = true };
	struct http_server *server;
	struct transport *transport;
	int fds[2];
	ssize_t n;

	seen[0] = '\0';
	assert_int_equal(http_server_new(&server, base, NULL, on_request, NULL),
			 0);
	assert_int_equal(
		socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds), 0);
	dprintf(fds[0], "%s %s HTTP/1.1\r\nHost: a\r\n\r\n", method, path);
	transport = transport_new_plain(fds[1]);
	assert_non_null(transport);
	server_adopt(server, transport, &peer);
	event_base_loop(base, EVLOOP_NONBLOCK);
	event_base_loop(base, EVLOOP_NONBLOCK);
	n = recv(fds[0], reply, sizeof(reply) - 1, 0);
	assert_true(n > 0);
	reply[n] = '\0';
	close(fds[0]);
	http_server_free(server);
	event_base_free(base);
	return reply;
}

static void assert_status(const char *reply, int status)
{
	char line[64];

	snprintf(line, sizeof(line), "HTTP/1.1 %d ", status);
	assert_memory_equal(reply, line, strlen(line));
}

static void test_matching(void **state)
{
	assert_status(ask("GET", "/"), 200);
	assert_string_equal(seen, "root");
	assert_status(ask("GET", "/items/special"), 200);
	assert_string_equal(seen, "root");
	assert_status(ask("PUT", "/items/special"), 200);
	assert_string_equal(seen, "item id=special more= other=");
	assert_status(ask("HEAD", "/items/a%2Fb%20c"), 200);
	assert_string_equal(seen, "item id=a/b c more= other=");
	assert_status(ask("POST", "/items/1/sub/2?x"), 200);
	assert_string_equal(seen, "item id=1 more=2 other=");
}

static void test_no_match(void **state)
{
	char path[HTTP_ROUTE_PARAM_MAX_BYTES + 32] = "/items/";

	assert_status(ask("GET", "/other"), 404);
	assert_status(ask("GET", "/items/"), 404);
	assert_status(ask("GET", "/items/1/"), 404);
	assert_status(ask("GET", "/items/1/sub"), 404);
	assert_status(ask("GET", "//"), 404);
	assert_status(ask("GET", "/items/a%00b"), 400);
	memset(path + 7, 'a', HTTP_ROUTE_PARAM_MAX_BYTES);
	assert_status(ask("GET", path), 400);
	path[7 + HTTP_ROUTE_PARAM_MAX_BYTES - 1] = '\0';
	assert_status(ask("GET", path), 200);
}

static void test_method_not_allowed(void **state)
{
	const char *reply = ask("DELETE", "/items/1");

	assert_status(reply, 405);
	assert_non_null(strstr(reply, "\r\nAllow: GET, HEAD, PUT\r\n"));
	assert_non_null(strstr(reply, "\"code\":\"method_not_allowed\""));
}

static void test_query(void **state)
{
	char out[8];

	assert_int_equal(
		http_query_get("a=b&c=d+e%21&f", "c", out, sizeof(out)), 1);
	assert_string_equal(out, "d e!");
	assert_int_equal(http_query_get("a=b&f", "f", out, sizeof(out)), 1);
	assert_string_equal(out, "");
	assert_int_equal(http_query_get("ab=c", "a", out, sizeof(out)), 0);
	assert_string_equal(out, "");
	assert_int_equal(http_query_get("", "a", out, sizeof(out)), 0);
	assert_int_equal(http_query_get("a=%0", "a", out, sizeof(out)),
			 -EINVAL);
	assert_int_equal(http_query_get("a=%00", "a", out, sizeof(out)),
			 -EINVAL);
	assert_int_equal(http_query_get("a=1234567", "a", out, sizeof(out)), 1);
	assert_int_equal(http_query_get("a=12345678", "a", out, sizeof(out)),
			 -EINVAL);
}

static void test_status_phrase(void **state)
{
	assert_string_equal(http_status_phrase(200), "OK");
	assert_string_equal(http_status_phrase(431),
			    "Request Header Fields Too Large");
	assert_string_equal(http_status_phrase(299), "Unknown");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_matching),
		cmocka_unit_test(test_no_match),
		cmocka_unit_test(test_method_not_allowed),
		cmocka_unit_test(test_query),
		cmocka_unit_test(test_status_phrase),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
