#include <stdio.h>
#include <string.h>

#include "orchestrator/ssh_host.h"
#include "orchestrator/ssh_pod_impl.h"

#define SSH_POD_API_PORT 8081
#define SSH_POD_PROXY_PORT 8082

/* https://HOST[:PORT]; a door of that name and port leads there. */
static bool ssh_pod_gateway_door(struct executor_pod *pod,
				 struct executor_door *door)
{
	const char *url = pod->shared->gateway_url, *host = strstr(url, "://");
	bool tls = !strncmp(url, "https", 5);
	char *name = pod->api, *colon;
	size_t n;

	host = host ? host + 3 : url;
	n = MIN(strcspn(host, "/"), SSH_POD_HOST_BYTES);
	snprintf(name, sizeof(pod->api), "%.*s", (int)n, host);
	colon = strrchr(name, ':');
	if (colon && strchr(colon, ']'))
		colon = NULL;
	snprintf(pod->ports[SSH_POD_API].to, SSH_POD_TO_BYTES, "%.*s%s",
		 SSH_POD_HOST_BYTES, name,
		 colon ? ""
		 : tls ? ":443"
		       : ":80");
	door->port = (uint16_t)(colon ? strtoul(colon + 1, NULL, 10)
				: tls ? 443
				      : 80);
	if (colon)
		*colon = '\0';
	door->name = name;
	door->to = pod->ports[SSH_POD_API].to;
	return door->port > 0;
}

/* Without namespaces there is no door, and the port itself is called. */
static void ssh_pod_place_doors(struct executor_pod *pod,
				struct executor_place *out)
{
	struct executor_door *doors = pod->doors;

	out->doors = doors;
	if (pod->host->direct) {
		out->runtime_api = pod->shared->gateway_url;
		out->n_doors += !pod->unconfined &&
				ssh_pod_gateway_door(pod, &doors[0]);
	} else if (pod->unconfined) {
		snprintf(pod->api, sizeof(pod->api), "http://%s",
			 pod->ports[SSH_POD_API].to);
		out->runtime_api = pod->api;
	} else {
		doors[out->n_doors++] = (struct executor_door){
			.name = "localhost",
			.port = SSH_POD_API_PORT,
			.to = pod->ports[SSH_POD_API].to,
		};
	}
	if (pod->ports[SSH_POD_PROXY].wanted)
		doors[out->n_doors++] = (struct executor_door){
			.name = "localhost",
			.port = SSH_POD_PROXY_PORT,
			.to = pod->ports[SSH_POD_PROXY].to,
		};
}

void ssh_pod_place(struct executor_pod *pod, struct executor_place *out)
{
	*out = (struct executor_place){
		.work_dir = "",
		.uid = -1,
		.gid = -1,
		.runtime_api = "http://localhost:8081",
		.mode = "ssh",
		.sdk_dir = pod->sdk[0] ? pod->sdk : NULL,
		.modules_dir = pod->sdk[0] ? pod->modules : NULL,
		.own_net = pod->unconfined,
	};
	ssh_pod_place_doors(pod, out);
}
