/* Listening sockets: binding, and accepting in bounded batches. */
#pragma once

struct listener;

/* Closes the descriptor; removes a socket file that is still its own. */
void listener_free(struct listener *l);
/* Stops accepting for a moment: there are no descriptors left. */
void listener_pause(struct listener *l);
