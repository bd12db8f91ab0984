/*
 * The backend's keys, in DATA (0600 each, made on first start):
 *
 *   keys/signing.pem  P-256 private key that signs execution tokens
 *   keys/payload.pem  P-256 private key that signs programs; its public half
 *                     is beside it in payload.pub (0644)
 *   keys/master.key   32 bytes as hex, for the vault; or $CRONIUM_MASTER_KEY
 *   api-key           the first API key; or $CRONIUM_API_KEY
 *
 * In this order, so that a lost master key is noticed before a new one is
 * written in its place:
 *
 *   keys_load()   reads what is there, makes the rest in memory
 *   store_open()  refuses a master key that its secrets do not know
 *   keys_save()   writes what is new
 *   key_loss.h    says what is lost with the old one, if there was one
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "backend/vault.h"
#include "common/buf.h"
#include "common/macro.h"

/* In the directory where several backends have the same keys: backend.c. */
#define KEYS_LOCK_FILE "keys.lock"
#define KEYS_SIGNING_FILE "keys/signing.pem"
#define KEYS_PAYLOAD_FILE "keys/payload.pem"
#define KEYS_MASTER_FILE "keys/master.key"
#define KEYS_API_KEY_FILE "api-key"

struct payload_signer;
struct token_key;

/* Files that were not there. */
enum keys_made {
	KEYS_MADE_SIGNING = 1,
	KEYS_MADE_PAYLOAD = 2,
	KEYS_MADE_MASTER = 4,
	KEYS_MADE_API_KEY = 8,
};

struct keys {
	struct token_key *signing;
	struct payload_signer *payload;
	struct vault *vault;
	char *api_key;
	char *dir;                       /* DATA */
	char *master_hex;                /* only when it is to be written */
	struct buf payload_pem;          /* the same */
	bool save_signing, save_api_key; /* new: to be written */
	unsigned made;                   /* keys_made */
};

/*
 * Fills *k. The variables of the environment are taken out of it. A file that
 * others may read is refused. On failure a negative errno and a sentence in
 * err.
 */
int keys_load(struct keys *k, const char *data_dir, char *err,
	      size_t err_size) MUST_CHECK;
/* Writes what is new: each file whole and durable, or not at all. */
int keys_save(struct keys *k, char *err, size_t err_size) MUST_CHECK;
/* Overwrites what is secret; zero-initialised is fine. */
void keys_deinit(struct keys *k);
