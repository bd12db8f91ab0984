#include "orchestrator/ssh_bundle.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <fts.h>
#include <limits.h>
#include <openssl/sha.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "common/file.h"
#include "common/hex.h"
#include "orchestrator/tar.h"

#define SSH_BUNDLE_FILE_MAX_BYTES (16UL * 1024 * 1024)

static const struct {
	const char *name;
	unsigned int elf;
} ssh_bundle_machines[] = {
	{ "x86_64", EM_X86_64 },
	{ "aarch64", EM_AARCH64 },
};

static void ssh_bundle_hash(const void *data, size_t len,
			    char out[SSH_BUNDLE_HASH_BYTES])
{
	unsigned char hash[SHA256_DIGEST_LENGTH];

	SHA256(data, len, hash);
	hex_encode(hash, sizeof(hash), out);
	out[2 * sizeof(hash)] = '\0';
}

/* --- runners -------------------------------------------------------------- */

/* The machine that a program is for, or NULL. */
static const char *ssh_bundle_machine(const struct buf *program)
{
	Elf64_Ehdr head;

	if (program->len < sizeof(head))
		return NULL;
	memcpy(&head, program->data, sizeof(head));
	if (memcmp(head.e_ident, ELFMAG, SELFMAG) != 0)
		return NULL;
	for (size_t i = 0; i < ARRAY_SIZE(ssh_bundle_machines); i++)
		if (ssh_bundle_machines[i].elf == head.e_machine)
			return ssh_bundle_machines[i].name;
	return NULL;
}

static int ssh_bundle_add_runner(struct ssh_bundle *b, const char *path)
{
	struct ssh_bundle_runner *runner = &b->runners[b->n_runners];
	_cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC);
	struct buf bytes = { 0 };
	int r;

	if (fd < 0)
		return -errno;
	r = file_read_all(fd, SSH_BUNDLE_RUNNER_MAX_BYTES, &bytes);
	if (!r && !ssh_bundle_machine(&bytes))
		r = -ENOEXEC;
	if (r < 0 || ssh_bundle_find(b, ssh_bundle_machine(&bytes)) ||
	    b->n_runners == SSH_BUNDLE_RUNNERS_MAX) {
		buf_deinit(&bytes);
		return r;
	}
	runner->machine = ssh_bundle_machine(&bytes);
	runner->bytes = bytes;
	ssh_bundle_hash(bytes.data, bytes.len, runner->hash);
	b->n_runners++;
	return 0;
}

static int ssh_bundle_add_runners(struct ssh_bundle *b, const char *runner)
{
	char path[PATH_MAX + 16];
	int r = ssh_bundle_add_runner(b, runner);

	for (size_t i = 0; !r && i < ARRAY_SIZE(ssh_bundle_machines); i++) {
		snprintf(path, sizeof(path), "%s-%s", runner,
			 ssh_bundle_machines[i].name);
		r = ssh_bundle_add_runner(b, path);
		if (r == -ENOENT)
			r = 0;
	}
	return r;
}

/* --- SDKs ----------------------------------------------------------------- */

static int ssh_bundle_compare(const FTSENT **a, const FTSENT **b)
{
	return strcmp((*a)->fts_path, (*b)->fts_path);
}

static bool ssh_bundle_is_wanted(const FTSENT *e)
{
	size_t n = strlen(e->fts_path);

	return e->fts_info == FTS_F &&
	       !(n > 4 && !strcmp(e->fts_path + n - 4, ".pyc"));
}

struct ssh_bundle_names {
	char **items;
	size_t n;
};

static int ssh_bundle_by_name(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static void ssh_bundle_names_free(struct ssh_bundle_names *names)
{
	for (size_t i = 0; i < names->n; i++)
		free(names->items[i]);
	free(names->items);
}

/* Paths below dir, in the order that `LC_ALL=C sort` gives them. */
static int ssh_bundle_list(const char *dir, struct ssh_bundle_names *out)
{
	static const char *const leaves[] = { "bash", "node", "python" };
	char roots[ARRAY_SIZE(leaves)][PATH_MAX];
	char *paths[ARRAY_SIZE(leaves) + 1] = { 0 };
	const FTSENT *e;
	int r = 0;
	FTS *fts;

	for (size_t i = 0; i < ARRAY_SIZE(leaves); i++) {
		snprintf(roots[i], PATH_MAX, "%s/%s", dir, leaves[i]);
		paths[i] = roots[i];
	}
	fts = fts_open(paths, FTS_PHYSICAL | FTS_NOCHDIR, ssh_bundle_compare);
	if (!fts)
		return -errno;
	while (!r && (e = fts_read(fts))) {
		char **more;

		if (!ssh_bundle_is_wanted(e))
			continue;
		more = reallocarray(out->items, out->n + 1, sizeof(*more));
		if (!more) {
			r = -ENOMEM;
			break;
		}
		out->items = more;
		out->items[out->n] = strdup(e->fts_path + strlen(dir) + 1);
		r = out->items[out->n] ? 0 : -ENOMEM;
		out->n += !r;
	}
	fts_close(fts);
	if (out->n)
		qsort(out->items, out->n, sizeof(*out->items),
		      ssh_bundle_by_name);
	return r;
}

/* Node looks for packages in directories of this name only. */
#define SSH_BUNDLE_NODE "node/"
#define SSH_BUNDLE_MODULES "node_modules/cronium/"

static int ssh_bundle_add_file(struct tar *tar, struct buf *list,
			       const char *dir, const char *name)
{
	bool node = !strncmp(name, SSH_BUNDLE_NODE, strlen(SSH_BUNDLE_NODE));
	char path[PATH_MAX], put[PATH_MAX], hash[SSH_BUNDLE_HASH_BYTES];
	_cleanup_close_ int fd = -1;
	struct buf bytes = { 0 };
	int r;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	snprintf(put, sizeof(put), "%s%s", node ? SSH_BUNDLE_MODULES : "",
		 name + (node ? strlen(SSH_BUNDLE_NODE) : 0));
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	r = file_read_all(fd, SSH_BUNDLE_FILE_MAX_BYTES, &bytes);
	if (!r) {
		ssh_bundle_hash(bytes.data ? bytes.data : (const void *)"",
				bytes.len, hash);
		r = buf_printf(list, "%s  ./%s\n", hash, put);
	}
	if (!r)
		r = tar_add_bytes(tar, put, bytes.data, bytes.len);
	buf_deinit(&bytes);
	return r;
}

static int ssh_bundle_add_sdk(struct ssh_bundle *b, const char *dir)
{
	_cleanup_(tar_freep) struct tar *tar = NULL;
	struct ssh_bundle_names names = { 0 };
	struct buf list = { 0 };
	int r;

	r = ssh_bundle_list(dir, &names);
	if (!r)
		r = tar_new_gzip(&tar);
	for (size_t i = 0; !r && i < names.n; i++)
		r = ssh_bundle_add_file(tar, &list, dir, names.items[i]);
	if (!r)
		r = tar_finish(tar, &b->sdk);
	if (!r) {
		ssh_bundle_hash(b->sdk.data, b->sdk.len, b->sdk_hash);
		ssh_bundle_hash(list.data ? list.data : (const void *)"",
				list.len, b->sdk_list_hash);
	}
	ssh_bundle_names_free(&names);
	buf_deinit(&list);
	return r;
}

/* --- life ----------------------------------------------------------------- */

int ssh_bundle_new(struct ssh_bundle **out, const char *runner,
		   const char *sdk_dir, char *err, size_t err_size)
{
	_cleanup_(ssh_bundle_freep) struct ssh_bundle *b = calloc(1,
								  sizeof(*b));
	const char *what = runner;
	int r;

	*out = NULL;
	if (!b)
		return -ENOMEM;
	r = ssh_bundle_add_runners(b, runner);
	if (!r && sdk_dir) {
		what = sdk_dir;
		r = ssh_bundle_add_sdk(b, sdk_dir);
	}
	if (r < 0) {
		snprintf(err, err_size, "cannot read %s: %s", what,
			 strerror(-r));
		return r;
	}
	*out = b;
	b = NULL;
	return 0;
}

void ssh_bundle_free(struct ssh_bundle *b)
{
	if (!b)
		return;
	for (size_t i = 0; i < b->n_runners; i++)
		buf_deinit(&b->runners[i].bytes);
	buf_deinit(&b->sdk);
	free(b);
}

const struct ssh_bundle_runner *ssh_bundle_find(const struct ssh_bundle *b,
						const char *machine)
{
	for (size_t i = 0; i < b->n_runners; i++)
		if (!strcmp(b->runners[i].machine, machine))
			return &b->runners[i];
	return NULL;
}
