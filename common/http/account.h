/* Who the bytes of unread replies are counted for; the public part is in
 * server.h. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct http_account;
struct http_conn;

/* The connection's sum of such bytes changed. */
void account_add(struct http_account *a, uint64_t now, uint64_t before);
bool account_fits(const struct http_account *a, size_t len);
/* The connection ends. */
void account_forget(struct http_conn *c);
