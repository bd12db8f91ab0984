/* Reading, unpacking and verifying as the runner does: by its own hands. What
 * is hostile is in tests/integration/test_payload.py. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/fsuid.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/buf.h"
#include "payload/extract.h"
#include "payload/read.h"
#include "payload/tar_gz.h"
#include "payload/verify.h"

#define OTHER_ID 12345

struct work {
	char path[32];
	int dir_fd;
	struct buf archive;
};

static void add(struct tar_gz *t, const char *path, bool executable)
{
	assert_int_equal(tar_gz_add_file(t, path, executable, strlen(path)), 0);
	assert_int_equal(tar_gz_write(t, path, strlen(path)), 0);
}

static int setup(void **state)
{
	struct work *w = calloc(1, sizeof(*w));
	struct tar_gz *t = NULL;

	assert_non_null(w);
	strcpy(w->path, "/tmp/payload-XXXXXX");
	assert_non_null(mkdtemp(w->path));
	assert_int_equal(chmod(w->path, 0777), 0);
	w->dir_fd = open(w->path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	assert_int_equal(tar_gz_new(&t, &w->archive, PAYLOAD_MAX_BYTES), 0);
	add(t, "a", false);
	assert_int_equal(tar_gz_add_dir(t, "d"), 0);
	add(t, "d/b", true);
	add(t, "d/e/c", false);
	add(t, "z", false);
	assert_int_equal(tar_gz_finish(t), 0);
	tar_gz_free(t);
	*state = w;
	return 0;
}

static int teardown(void **state)
{
	static const char *const files[] = { "a", "d/b", "d/e/c", "z" };
	struct work *w = *state;

	for (size_t i = 0; i < ARRAY_SIZE(files); i++)
		unlinkat(w->dir_fd, files[i], 0);
	unlinkat(w->dir_fd, "d/e", AT_REMOVEDIR);
	unlinkat(w->dir_fd, "d", AT_REMOVEDIR);
	assert_int_equal(rmdir(w->path), 0);
	close(w->dir_fd);
	buf_deinit(&w->archive);
	free(w);
	return 0;
}

static int extract(struct work *w, uid_t uid, gid_t gid)
{
	const struct payload_extract_options o = {
		.dir_fd = w->dir_fd,
		.file_mode = 0640,
		.uid = uid,
		.gid = gid,
	};
	char err[256] = "";
	int r = payload_extract(w->archive.data, w->archive.len, &o, err,
				sizeof(err));

	assert_true((r == 0) == (err[0] == '\0'));
	return r;
}

static void assert_is(struct work *w, const char *path, mode_t mode, uid_t uid,
		      gid_t gid)
{
	struct stat st;

	assert_int_equal(fstatat(w->dir_fd, path, &st, AT_SYMLINK_NOFOLLOW), 0);
	assert_int_equal(st.st_mode, mode);
	assert_int_equal(st.st_uid, uid);
	assert_int_equal(st.st_gid, gid);
}

static void assert_all_are(struct work *w, uid_t uid, gid_t gid)
{
	assert_is(w, "a", S_IFREG | 0640, uid, gid);
	assert_is(w, "d", S_IFDIR | 0750, uid, gid);
	assert_is(w, "d/b", S_IFREG | 0750, uid, gid);
	assert_is(w, "d/e", S_IFDIR | 0750, uid, gid);
	assert_is(w, "d/e/c", S_IFREG | 0640, uid, gid);
}

/* Only root can give files away, and everybody can keep them. */
static void test_gives_all_to_the_owner(void **state)
{
	uid_t uid = geteuid() ? geteuid() : OTHER_ID;
	gid_t gid = geteuid() ? getegid() : OTHER_ID;

	assert_int_equal(extract(*state, uid, gid), 0);
	assert_all_are(*state, uid, gid);
}

/* Without CAP_CHOWN the runner makes the files with the user's own rights. */
static void test_makes_all_with_the_users_rights(void **state)
{
	uid_t uid = geteuid() ? geteuid() : OTHER_ID;
	gid_t gid = geteuid() ? getegid() : OTHER_ID;
	int r;

	setfsgid(gid);
	setfsuid(uid);
	r = extract(*state, (uid_t)-1, (gid_t)-1);
	setfsuid(geteuid());
	setfsgid(getegid());
	assert_int_equal(r, 0);
	assert_all_are(*state, uid, gid);
}

static void test_replaces_nothing(void **state)
{
	assert_int_equal(extract(*state, (uid_t)-1, (gid_t)-1), 0);
	assert_int_equal(extract(*state, (uid_t)-1, (gid_t)-1), -EEXIST);
}

/* What is wrong at the end is found before the beginning is written. */
static void test_writes_nothing_of_what_is_cut_off(void **state)
{
	struct work *w = *state;
	struct stat st;

	w->archive.len--;
	assert_int_equal(extract(w, (uid_t)-1, (gid_t)-1), PAYLOAD_E_REFUSED);
	assert_int_equal(fstatat(w->dir_fd, "a", &st, 0), -1);
}

/* --- reading -------------------------------------------------------------- */

static int no_room(const struct payload_entry *e, void *ctx)
{
	return strcmp(e->path, ctx) != 0 ? 0 : -ENOSPC;
}

static int no_data(const void *data, size_t len, void *ctx)
{
	return -EIO;
}

static void test_hands_errors_up(void **state)
{
	static const struct payload_sink sinks[] = { { .on_entry = no_room },
						     { .on_end = no_room } },
					 data = { .on_data = no_data };
	struct work *w = *state;
	char path[] = "d/b", err[256];

	for (size_t i = 0; i < ARRAY_SIZE(sinks); i++) {
		assert_int_equal(payload_read(w->archive.data, w->archive.len,
					      &sinks[i], path, err,
					      sizeof(err)),
				 -ENOSPC);
		assert_string_equal(err, "d/b: No space left on device");
	}
	assert_int_equal(payload_read(w->archive.data, w->archive.len, &data,
				      NULL, err, sizeof(err)),
			 -EIO);
	assert_string_equal(err, "a: Input/output error");
}

static void test_says_when_it_would_be_too_big(void **state)
{
	struct buf out = { 0 };
	struct tar_gz *t = NULL;
	char noise[64 * 1024];
	uint32_t x = 1;
	int r = 0;

	for (size_t i = 0; i < sizeof(noise); i++)
		noise[i] = (char)((x = x * 1103515245 + 12345) >> 16);
	assert_int_equal(tar_gz_new(&t, &out, 1000), 0);
	assert_int_equal(tar_gz_add_file(t, "a", false, sizeof(noise)), 0);
	r = tar_gz_write(t, noise, sizeof(noise));
	assert_int_equal(r ? r : tar_gz_finish(t), -EFBIG);
	tar_gz_free(t);
	tar_gz_free(NULL);
	buf_deinit(&out);
}

/* --- verifying ------------------------------------------------------------ */

/* Made by: openssl ecparam -genkey, dgst -sha256 -sign. */
static const char key_text[] =
	"base64:MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE4ucrpuGcayMKGJFmWTB2V"
	"EPU31Rleb+xvlQmVTbYC9ml91sXpGKAhyo6nwvyNJbvkmu0GRXD69xSUISAcR662"
	"w==";
static const char signature[] =
	"MEUCIQCXas/GolyNFInvX+QMAHeGSciTm7nfnsJ2Zi2KTY3jUwIgGcb9be+Y87XL"
	"0t4dN6MepzUndbizvKVCzDc4Rv2ApA8=";

static void test_verifies(void **state)
{
	struct payload_key key;

	(void)state;
	assert_int_equal(payload_key_parse(&key, key_text, strlen(key_text)),
			 0);
	assert_int_equal(payload_verify(&key, "signed\n", 7, signature,
					strlen(signature)),
			 0);
	assert_int_equal(payload_verify(&key, "signed\n", 6, signature,
					strlen(signature)),
			 PAYLOAD_E_SIGNATURE);
	assert_int_equal(payload_verify(&key, "signed\n", 7, "", 0),
			 PAYLOAD_E_MALFORMED);
	key.point[64] ^= 1; /* not on the curve any more */
	assert_int_equal(payload_verify(&key, "signed\n", 7, signature,
					strlen(signature)),
			 PAYLOAD_E_SIGNATURE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_gives_all_to_the_owner,
						setup, teardown),
		cmocka_unit_test_setup_teardown(
			test_makes_all_with_the_users_rights, setup, teardown),
		cmocka_unit_test_setup_teardown(test_replaces_nothing, setup,
						teardown),
		cmocka_unit_test_setup_teardown(
			test_writes_nothing_of_what_is_cut_off, setup,
			teardown),
		cmocka_unit_test_setup_teardown(test_hands_errors_up, setup,
						teardown),
		cmocka_unit_test(test_says_when_it_would_be_too_big),
		cmocka_unit_test(test_verifies),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
