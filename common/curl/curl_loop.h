/*
 * libcurl's multi interface in an event loop: sockets and the timer of many
 * transfers. What a transfer asks for, and how, is the caller's: it sets up
 * the easy handle, all but CURLOPT_PRIVATE.
 *
 * Single-threaded. Names are looked up in threads of libcurl's own; set
 * CURLOPT_QUICK_EXIT, or ending a transfer waits for its lookup.
 */
#pragma once

#include <curl/curl.h>

#include "common/macro.h"

struct curl_loop;
struct event_base;

/* Embedded by value; zero-initialised is one that was never started. */
struct curl_transfer {
	CURL *easy; /* the caller's, to be freed by him */
	/* Once, from the loop, never from within curl_loop_start(); the
	 * transfer may be freed in it. */
	void (*on_done)(struct curl_transfer *t, CURLcode code);
	void *ctx;              /* the caller's */
	struct curl_loop *loop; /* private: where it is under way */
};

/* 0 or negative errno. */
int curl_loop_new(struct curl_loop **out, struct event_base *base) MUST_CHECK;
/* Every transfer must have been stopped. NULL is fine. */
void curl_loop_free(struct curl_loop *l);
DEFINE_CLEANUP(struct curl_loop *, curl_loop_free)

/* 0 or -ENOMEM, without on_done. */
int curl_loop_start(struct curl_loop *l, struct curl_transfer *t) MUST_CHECK;
/* Without on_done; not from within a callback of libcurl's. One that is not
 * under way is fine. */
void curl_loop_stop(struct curl_transfer *t);
