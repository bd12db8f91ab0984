#include "common/http/account.h"

#include <errno.h>
#include <stdlib.h>

#include "common/http/conn.h"
#include "common/http/exchange.h"
#include "common/http/server.h"

struct http_account {
	unsigned int refs;
	uint64_t reply_bytes, max_bytes;
};

int http_account_new(struct http_account **out, uint64_t reply_bytes)
{
	struct http_account *a = calloc(1, sizeof(*a));

	if (!a)
		return -ENOMEM;
	a->refs = 1;
	a->max_bytes = reply_bytes;
	*out = a;
	return 0;
}

void http_account_unref(struct http_account *a)
{
	if (a && !--a->refs)
		free(a);
}

void account_add(struct http_account *a, uint64_t now, uint64_t before)
{
	if (a)
		a->reply_bytes += now - before;
}

bool account_fits(const struct http_account *a, size_t len)
{
	return !a || !a->reply_bytes || a->reply_bytes + len <= a->max_bytes;
}

void account_forget(struct http_conn *c)
{
	account_add(c->account, 0, c->reply_bytes);
	http_account_unref(c->account);
	c->account = NULL;
}

void http_exchange_set_account(struct http_exchange *ex, struct http_account *a)
{
	struct http_conn *c = ex->conn;

	if (c->account == a)
		return;
	conn_count(c);
	account_forget(c);
	c->account = a;
	a->refs++;
	account_add(a, c->reply_bytes, 0);
}
