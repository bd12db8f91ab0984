#include "orchestrator/ssh_agent.h"

#include <errno.h>
#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event.h>
#include <string.h>
#include <sys/socket.h>

#include "common/buf.h"
#include "common/unix_socket.h"

#define SSH_AGENT_FAILURE 5
#define SSH_AGENT_LIST 11
#define SSH_AGENT_LISTED 12
#define SSH_AGENT_SIGN 13
#define SSH_AGENT_SIGNED 14

struct ssh_agent {
	enum ssh_agent_state state;
	struct bufferevent *bev;
	void (*on_answer)(void *ctx);
	void *ctx;
	struct ssh_agent_key keys[SSH_AGENT_KEYS_MAX];
	size_t n_keys;
	uint8_t *signature;
	size_t signature_len;
};

/* --- the wire ------------------------------------------------------------- */

struct ssh_agent_reader {
	const uint8_t *at;
	size_t left;
};

static bool ssh_agent_get_u32(struct ssh_agent_reader *r, uint32_t *out)
{
	if (r->left < 4)
		return false;
	*out = (uint32_t)r->at[0] << 24 | (uint32_t)r->at[1] << 16 |
	       (uint32_t)r->at[2] << 8 | r->at[3];
	r->at += 4;
	r->left -= 4;
	return true;
}

static bool ssh_agent_get_string(struct ssh_agent_reader *r,
				 struct ssh_agent_reader *out)
{
	uint32_t n;

	if (!ssh_agent_get_u32(r, &n) || n > r->left)
		return false;
	*out = (struct ssh_agent_reader){ r->at, n };
	r->at += n;
	r->left -= n;
	return true;
}

static int ssh_agent_put_u32(struct buf *b, size_t n)
{
	const uint8_t bytes[4] = { (uint8_t)(n >> 24), (uint8_t)(n >> 16),
				   (uint8_t)(n >> 8), (uint8_t)n };

	return buf_append(b, bytes, sizeof(bytes));
}

static int ssh_agent_put_string(struct buf *b, const void *data, size_t len)
{
	int r = ssh_agent_put_u32(b, len);

	return r ? r : buf_append(b, data, len);
}

static int ssh_agent_send(struct ssh_agent *a, uint8_t type,
			  const struct buf *body)
{
	struct buf head = { 0 };
	int r = ssh_agent_put_u32(&head, body->len + 1);

	if (!r)
		r = buf_append(&head, &type, 1);
	if (!r && (bufferevent_write(a->bev, head.data, head.len) < 0 ||
		   (body->len &&
		    bufferevent_write(a->bev, body->data, body->len) < 0)))
		r = -ENOMEM;
	buf_deinit(&head);
	if (!r)
		a->state = SSH_AGENT_BUSY;
	return r;
}

/* --- answers -------------------------------------------------------------- */

static bool ssh_agent_key_usable(const struct ssh_agent_reader *key)
{
	static const char *const types[] = {
		"ssh-ed25519",
		"ecdsa-sha2-nistp256",
		"ecdsa-sha2-nistp384",
		"ecdsa-sha2-nistp521",
		"ssh-rsa",
	};
	struct ssh_agent_reader r = *key, type;

	if (!ssh_agent_get_string(&r, &type))
		return false;
	for (size_t i = 0; i < ARRAY_SIZE(types); i++)
		if (type.left == strlen(types[i]) &&
		    !memcmp(type.at, types[i], type.left))
			return true;
	return false;
}

static bool ssh_agent_take_list(struct ssh_agent *a, struct ssh_agent_reader *r)
{
	struct ssh_agent_reader blob, comment;
	uint32_t n;

	if (!ssh_agent_get_u32(r, &n))
		return false;
	for (; n && a->n_keys < SSH_AGENT_KEYS_MAX; n--) {
		struct ssh_agent_key *key = &a->keys[a->n_keys];

		if (!ssh_agent_get_string(r, &blob) ||
		    !ssh_agent_get_string(r, &comment))
			return false;
		if (!blob.left || !ssh_agent_key_usable(&blob))
			continue;
		key->blob = malloc(blob.left);
		if (!key->blob)
			return false;
		memcpy(key->blob, blob.at, blob.left);
		key->len = blob.left;
		a->n_keys++;
	}
	return true;
}

static bool ssh_agent_take_signed(struct ssh_agent *a,
				  struct ssh_agent_reader *r)
{
	struct ssh_agent_reader all, name, signature;

	if (!ssh_agent_get_string(r, &all) ||
	    !ssh_agent_get_string(&all, &name) ||
	    !ssh_agent_get_string(&all, &signature) || !signature.left)
		return false;
	a->signature = malloc(signature.left);
	if (!a->signature)
		return false;
	memcpy(a->signature, signature.at, signature.left);
	a->signature_len = signature.left;
	return true;
}

static bool ssh_agent_take(struct ssh_agent *a, const uint8_t *data, size_t len)
{
	struct ssh_agent_reader r = { data + 1, len - 1 };

	if (a->state != SSH_AGENT_BUSY)
		return false;
	switch (data[0]) {
	case SSH_AGENT_FAILURE:
		return true;
	case SSH_AGENT_LISTED:
		return ssh_agent_take_list(a, &r);
	case SSH_AGENT_SIGNED:
		return ssh_agent_take_signed(a, &r);
	default:
		return false;
	}
}

static void ssh_agent_settle(struct ssh_agent *a, enum ssh_agent_state state)
{
	if (a->state == SSH_AGENT_FAILED)
		return;
	a->state = state;
	a->on_answer(a->ctx);
}

static void ssh_agent_on_read(struct bufferevent *bev, void *ctx)
{
	struct evbuffer *input = bufferevent_get_input(bev);
	struct ssh_agent_reader r;
	struct ssh_agent *a = ctx;
	uint8_t head[4];
	uint32_t len;
	bool good;

	if (evbuffer_copyout(input, head, sizeof(head)) < (int)sizeof(head))
		return;
	r = (struct ssh_agent_reader){ head, sizeof(head) };
	ssh_agent_get_u32(&r, &len);
	if (!len || len > SSH_AGENT_MESSAGE_MAX_BYTES) {
		ssh_agent_settle(a, SSH_AGENT_FAILED);
		return;
	}
	if (evbuffer_get_length(input) < sizeof(head) + len)
		return;
	good = ssh_agent_take(
		a, evbuffer_pullup(input, (ssize_t)sizeof(head) + len) + 4,
		len);
	evbuffer_drain(input, sizeof(head) + len);
	ssh_agent_settle(a, good ? SSH_AGENT_IDLE : SSH_AGENT_FAILED);
}

static void ssh_agent_on_event(struct bufferevent *bev, short what, void *ctx)
{
	if (!(what & BEV_EVENT_CONNECTED))
		ssh_agent_settle(ctx, SSH_AGENT_FAILED);
}

/* --- life ----------------------------------------------------------------- */

static int ssh_agent_open(struct ssh_agent *a, struct event_base *base,
			  const char *path)
{
	struct sockaddr_un address;
	int fd, r;

	r = unix_socket_address(&address, path);
	if (r < 0)
		return r;
	/* A connect to a unix socket waits for nothing but a full backlog. */
	fd = unix_socket_connect(&address, SOCK_NONBLOCK);
	if (fd < 0)
		return fd;
	a->bev = bufferevent_socket_new(
		base, fd, BEV_OPT_CLOSE_ON_FREE | BEV_OPT_DEFER_CALLBACKS);
	if (!a->bev) {
		close(fd);
		return -ENOMEM;
	}
	bufferevent_setcb(a->bev, ssh_agent_on_read, NULL, ssh_agent_on_event,
			  a);
	bufferevent_enable(a->bev, EV_READ | EV_WRITE);
	return 0;
}

int ssh_agent_new(struct ssh_agent **out, struct event_base *base,
		  const char *path, void (*on_answer)(void *ctx), void *ctx)
{
	struct ssh_agent *a = calloc(1, sizeof(*a));
	int r;

	*out = NULL;
	if (!a)
		return -ENOMEM;
	a->on_answer = on_answer;
	a->ctx = ctx;
	r = ssh_agent_open(a, base, path);
	if (!r)
		r = ssh_agent_send(a, SSH_AGENT_LIST, &(struct buf){ 0 });
	if (r < 0) {
		ssh_agent_free(a);
		return r;
	}
	*out = a;
	return 0;
}

void ssh_agent_free(struct ssh_agent *a)
{
	if (!a)
		return;
	if (a->bev)
		bufferevent_free(a->bev);
	for (size_t i = 0; i < a->n_keys; i++)
		free(a->keys[i].blob);
	free(a->signature);
	free(a);
}

enum ssh_agent_state ssh_agent_state(const struct ssh_agent *a)
{
	return a->state;
}

size_t ssh_agent_keys(const struct ssh_agent *a,
		      const struct ssh_agent_key **out)
{
	*out = a->keys;
	return a->n_keys;
}

int ssh_agent_sign(struct ssh_agent *a, const struct ssh_agent_key *key,
		   const void *data, size_t len)
{
	struct buf body = { 0 };
	int r = ssh_agent_put_string(&body, key->blob, key->len);

	free(a->signature);
	a->signature = NULL;
	if (!r)
		r = ssh_agent_put_string(&body, data, len);
	if (!r)
		r = ssh_agent_put_u32(&body, 0); /* flags */
	if (!r)
		r = ssh_agent_send(a, SSH_AGENT_SIGN, &body);
	buf_deinit(&body);
	return r;
}

uint8_t *ssh_agent_take_signature(struct ssh_agent *a, size_t *len)
{
	uint8_t *signature = a->signature;

	*len = a->signature_len;
	a->signature = NULL;
	return signature;
}
