/* What neighbours.c and neighbours_read.c share. */
#pragma once

#include "backend/neighbours.h"
#include "common/id.h"

struct event;
struct neighbours_copy;
struct neighbours_read;
struct store_listen;

struct neighbours {
	struct backend *b;
	struct store_listen *listen;
	struct event *look, *soon;
	struct neighbours_read *reads; /* jobs that are being read */
	struct neighbours_copy *agents;
	size_t n_agents;
	bool reading_agents, agents_again, stopped;
	/* The last ones that were seen to have ended, the oldest replaced. */
	char ended[NEIGHBOURS_ENDED_MAX][ID_MAX_BYTES];
	size_t n_ended;
};

/* Reads the job, and tells everybody here how it is. */
void neighbours_read_job(struct neighbours *n, const char *job);
void neighbours_read_agents(struct neighbours *n);
void neighbours_forget_all(struct neighbours *n);
/* Everything is looked at, in a moment. */
void neighbours_look_soon(struct neighbours *n);
