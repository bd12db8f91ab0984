#include "common/docker_socket.h"

#include <stdlib.h>
#include <string.h>

const char *docker_socket_path(void)
{
	static const char scheme[] = "unix://";
	const char *host = getenv("DOCKER_HOST");

	if (host && !strncmp(host, scheme, sizeof(scheme) - 1))
		return host + sizeof(scheme) - 1;
	return DOCKER_SOCKET_DEFAULT;
}
