/*
 * One backend process: what its parts share. backend.c sets it up and takes
 * it down; the parts find each other through it.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "backend/keys.h"
#include "common/buf.h"
#include "common/id.h"
#include "common/macro.h"
#include "common/options.h"

#define BACKEND_ISSUER "cronium"
#define BACKEND_SCRIPT_MAX_BYTES (10 * 1024 * 1024)
#define BACKEND_VALUE_CEILING_BYTES (15 * 1024 * 1024) /* of any --max-… */
#define BACKEND_QUEUED_MAX 100000
#define BACKEND_CONNECTIONS_MAX 4096 /* one a sidecar, orchestrator, person */
#define BACKEND_STREAMS_MAX 1000     /* of one orchestrator's connection */
#define BACKEND_WRITE_IDLE_MS (10 * 60 * 1000) /* a log in a pager may wait */
#define BACKEND_DRAIN_MS 5000
#define BACKEND_FLUSHES 2 /* see backend.c */

struct auth;
struct change_hub;
struct data_dir;
struct event;
struct capabilities;
struct event_base;
struct follow;
struct http_server;
struct http_tls;
struct intake;
struct live;
struct metrics;
struct neighbours;
struct queue;
struct refusals;
struct retries;
struct store;
struct streams;
struct tools;
struct waits;

struct backend_config {
	const char *data_dir, *run_dir;
	const char *keys_dir; /* NULL: data_dir */
	const char *store;    /* store_url.h; NULL: DATA/cronium.db */
	const char *listen;   /* HOST:PORT or "none" */
	const char *tls_cert, *tls_key;
	const char *log_level, *log_format;
	uint64_t max_input_bytes, max_output_bytes, max_log_bytes;
	uint64_t max_value_bytes, max_stream_bytes;
	uint64_t lease_ms;
	struct option_rate rate_forward, rate_tools; /* of each execution */
	const char *tools_dir;                       /* NULL: below data_dir */
	const char *tools_ca_file;      /* NULL: the system's list */
	struct option_list tools_allow; /* common/allow_list.h */
	bool help, version;
};

struct backend {
	const struct backend_config *config;
	char instance[ID_MAX_BYTES]; /* this process, among several */
	struct event_base *base;
	struct data_dir *dir;
	struct keys keys;
	struct buf public_pem;  /* of keys.signing, NUL-terminated */
	struct buf payload_key; /* of keys.payload, "base64:…", the same */
	struct buf payload_pem; /* the same key */
	struct store *store;
	struct http_server *server;
	struct http_tls *tls;
	struct auth *auth; /* who is calling */
	struct live *live; /* executions that are claimed or running */
	struct neighbours *neighbours; /* other backends */
	struct queue *queue;           /* claims and leases */
	struct retries *retries;       /* jobs that wait for their next try */
	struct waits *waits;           /* what queued jobs wait for */
	struct follow *follow;         /* who watches which job */
	struct change_hub *changes;    /* who watches variables */
	struct refusals *refusals;     /* that sidecars report */
	struct intake *intake;         /* reads what is submitted */
	struct streams *streams;       /* who reads and writes which stream */
	struct tools *tools;           /* tool actions */
	struct capabilities *capabilities; /* jobs without a script */
	struct metrics *metrics;           /* counters */
	struct event *on_term, *on_int, *on_hup, *drain_timer;
	bool shared; /* the store has other backends */
	bool draining, failed;
	unsigned int flushes;
};

/* Sets everything up, without a socket open yet. 0, or negative errno with a
 * sentence in err. */
int backend_open(struct backend *b, const struct backend_config *config,
		 char *err, size_t err_size) MUST_CHECK;
/* Serves until SIGTERM or SIGINT. 0, or -1 when it could not start. */
int backend_run(struct backend *b);
/* Half-opened is fine. */
void backend_close(struct backend *b);
