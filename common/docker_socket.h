/* Where the Docker engine listens on this machine. */
#pragma once

#define DOCKER_SOCKET_DEFAULT "/var/run/docker.sock"

/*
 * The path in $DOCKER_HOST where that is unix://PATH, as for Docker's own
 * tools, else DOCKER_SOCKET_DEFAULT. Points into the environment or to a
 * constant.
 */
const char *docker_socket_path(void);
