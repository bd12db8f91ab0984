/* Listening sockets: binding, and accepting in bounded batches. */
#pragma once

struct listener;

/* Closes the descriptor; removes a socket file that is still its own. */
void listener_free(struct listener *l);
