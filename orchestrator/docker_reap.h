/*
 * Removes what pods have left in the engine: containers, then networks, with
 * the instance's label. What is not whose it should be is never touched: it
 * goes by label, not by name.
 */
#pragma once

#include <stdbool.h>

#include "common/percent.h"

#define DOCKER_LABEL_FILTER_JSON_BYTES 256
#define DOCKER_LABEL_FILTER_BYTES \
	PERCENT_ENCODED_BYTES(DOCKER_LABEL_FILTER_JSON_BYTES)

struct docker_api;

struct docker_reap_ops {
	/* Whether the pod of this name keeps what it has. */
	bool (*spares)(void *ctx, const char *pod);
	/* What could be removed is; a failure is in the log. */
	void (*on_done)(void *ctx);
};

struct docker_reap {
	struct docker_api *api;
	const char *instance;
	const struct docker_reap_ops *ops;
	void *ctx;
	unsigned int calls; /* under way */
	bool networks;      /* the containers are gone */
	bool running, again;
};

/* instance and ops outlive it; both callbacks come from the loop, on_done also
 * from within. One that runs already begins again afterwards. */
void docker_reap_start(struct docker_reap *reap, struct docker_api *api,
		       const char *instance, const struct docker_reap_ops *ops,
		       void *ctx);

/* What a query says to hear of the instance's things only, percent-encoded.
 * more: of the JSON object, from ','; or "". */
void docker_label_filter(const char *instance, const char *more,
			 char out[DOCKER_LABEL_FILTER_BYTES]);
