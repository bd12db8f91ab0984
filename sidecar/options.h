/* The command line of cronium-sidecar. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "common/macro.h"
#include "common/options.h"

struct sidecar_options {
	const char *control, *again;
	struct option_list listen;
	const char *proxy, *door;
	const char *backend;
	bool gateway;
	const char *tls_cert, *tls_key, *metrics;
	struct option_rate rate_requests;
	const char *log_level, *log_format;
	bool help;
	bool version;
};

extern const struct option_spec sidecar_option_specs[];
extern const size_t sidecar_n_option_specs;

/* 0, or -EINVAL with a sentence for the user in err. */
int sidecar_options_parse(struct sidecar_options *out, int argc, char **argv,
			  char *err, size_t err_size) MUST_CHECK;
void sidecar_options_deinit(struct sidecar_options *o);
