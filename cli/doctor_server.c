/* cronium doctor: the server that commands would speak to. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "cli/api.h"
#include "cli/command.h"
#include "cli/doctor.h"
#include "cli/output.h"
#include "common/clock.h"
#include "common/json.h"
#include "common/unix_socket.h"

#define SKEW_WARN_S 5
#define SKEW_FAIL_S 30 /* the leeway of tokens */

static bool server_listens(const char *dir)
{
	_cleanup_close_ int fd = -1;
	struct sockaddr_un addr;

	if (unix_socket_address_in(&addr, dir, "api.sock") < 0)
		return false;
	fd = unix_socket_connect(&addr, 0);
	return fd >= 0;
}

static void server_check_skew(struct doctor *d, const struct api_reply *reply)
{
	int64_t skew;

	if (!reply->date_s)
		return;
	skew = reply->date_s - clock_wall_s();
	skew = skew < 0 ? -skew : skew;
	if (skew > SKEW_WARN_S)
		doctor_report(d, skew > SKEW_FAIL_S ? DOCTOR_FAIL : DOCTOR_WARN,
			      "synchronise both clocks (timedatectl set-ntp "
			      "true)",
			      "its clock differs by %lld s from ours",
			      (long long)skew);
}

static void server_check_agents(struct doctor *d, struct api *api,
				const struct api_reply *reply)
{
	_cleanup_json_ json_t *o = json_parse_object(reply->body.data,
						     reply->body.len, NULL, 0);
	const json_t *agents = json_object_get(o, "agents"), *agent;
	size_t i, n = 0;

	json_array_foreach(agents, i, agent)
		n += json_get_bool(agent, "connected", true);
	if (n)
		doctor_report(d, DOCTOR_OK, NULL, "%s, %zu orchestrator%s",
			      api->server.url, n, n == 1 ? "" : "s");
	else
		doctor_report(d, DOCTOR_WARN, "start one: jobs wait until then",
			      "%s answers, but no orchestrator is connected",
			      api->server.url);
}

static void server_ask(struct doctor *d, const struct cli_globals *globals)
{
	static const struct api_request agents = { .method = "GET",
						   .path = "/v1/agents" };
	struct api_reply reply;
	struct api api;

	if (api_open(&api, globals) < 0) {
		doctor_report(d, DOCTOR_FAIL,
			      "look at the message above and the server's log",
			      "the server cannot be used");
		return;
	}
	if (api_call(&api, &agents, &reply)) {
		server_check_agents(d, &api, &reply);
		server_check_skew(d, &reply);
	} else if (reply.status == 401) {
		doctor_report(d, DOCTOR_FAIL,
			      "set CRONIUM_API_KEY to a key of that server "
			      "(its first one is in DATA/api-key)",
			      "%s answers, but not to this key",
			      api.server.url);
	} else {
		doctor_report(d, DOCTOR_FAIL,
			      "start it (cronium up), or correct CRONIUM_URL",
			      "%s: %s", api.server.url, reply.detail);
	}
	api_reply_deinit(&reply);
	api_close(&api);
}

void doctor_check_server(struct doctor *d)
{
	const struct cli_globals *globals = doctor_globals(d);
	struct server server;
	bool configured = server_configured(&server, globals);

	server_close(&server);
	if (configured || server_listens(doctor_place(d)->run) ||
	    (!geteuid() && server_listens(PLACE_SERVICE_RUN)))
		server_ask(d, globals);
	else
		doctor_report(d, DOCTOR_OK, NULL,
			      "none is configured or running; commands start "
			      "one while they need it");
}
