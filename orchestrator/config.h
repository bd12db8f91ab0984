/*
 * The command line of cronium-orchestrator, with what follows from it.
 */
#pragma once

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/agent_labels.h"
#include "common/allow_list.h"
#include "common/log.h"
#include "common/macro.h"
#include "common/options.h"
#include "orchestrator/guard_config.h"
#include "orchestrator/shares.h"

/* Default of --slots: scripts wait more than they compute. */
#define CONFIG_SLOTS_PER_CORE 16
#define CONFIG_SLOTS_MAX 4096
#define CONFIG_WAL_DAYS_MAX 36500 /* a century */
#define CONFIG_KEY_MAX_BYTES 512

/* As it was typed. */
struct config_options {
	const char *data_dir, *run_dir;
	const char *backend, *api_key_file, *ca_file;
	const char *name, *labels;
	uint64_t slots;
	uint64_t wal_keep_bytes, wal_keep_days;
	struct option_list executors, egress_allow, ssh_keys, shares;
	bool share_processes;
	const char *ssh_known_hosts, *gateway_url;
	const char *guard;
	const char *docker_socket, *sidecar_image, *subnet_pool;
	const char *runner, *sidecar, *sdk_dir;
	const char *log_level, *log_format;
	bool help, version;
};

extern const struct option_spec config_specs[];
extern const size_t config_n_specs;

struct config {
	struct config_options opt; /* strings: see below; no NULL but sdk_dir,
				      api_key_file and ca_file */
	char data_dir[PATH_MAX], run_dir[PATH_MAX];
	char runner[PATH_MAX], sidecar[PATH_MAX], sdk_dir[PATH_MAX];
	char name[HOST_NAME_MAX + 1];
	char labels[AGENT_LABELS_MAX_BYTES]; /* normal form */
	char api_key[CONFIG_KEY_MAX_BYTES];  /* "" for none */
	struct allow_list egress_allow;
	struct guard_config guard;
	struct shares shares;
	enum log_level log_level;
	enum log_format log_format;
};

/*
 * Parses and completes; the directories are made when they are missing, and
 * made absolute. 0, or -EINVAL with a sentence in err.
 */
int config_parse(struct config *c, int argc, char **argv, char *err,
		 size_t err_size) MUST_CHECK;
void config_deinit(struct config *c);
