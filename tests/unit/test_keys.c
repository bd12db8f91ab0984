#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "backend/data_dir.h"
#include "backend/keys.h"
#include "common/token.h"

#define WAIT_MS 10000

static char dir[64];
static char err[512];

static int remove_entry(const char *path, const struct stat *st, int type,
			struct FTW *ftw)
{
	(void)st;
	(void)type;
	(void)ftw;
	return remove(path);
}

static int setup(void **state)
{
	(void)state;
	unsetenv("CRONIUM_MASTER_KEY");
	unsetenv("CRONIUM_API_KEY");
	strcpy(dir, "/tmp/cronium-keys-XXXXXX");
	return mkdtemp(dir) ? 0 : -1;
}

static int teardown(void **state)
{
	(void)state;
	return nftw(dir, remove_entry, 8, FTW_DEPTH | FTW_PHYS);
}

static const char *path_of(const char *name)
{
	static char path[128];

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	return path;
}

static void write_file(const char *name, const char *text, mode_t mode)
{
	int fd = open(path_of(name), O_WRONLY | O_CREAT | O_TRUNC, mode);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
	assert_int_equal(fchmod(fd, mode), 0);
	close(fd);
}

static void make_keys(void)
{
	struct keys k;

	assert_int_equal(keys_load(&k, dir, err, sizeof(err)), 0);
	assert_int_equal(keys_save(&k, err, sizeof(err)), 0);
	keys_deinit(&k);
}

static void test_made_once_and_private(void **state)
{
	static const char *const names[] = { "keys/signing.pem",
					     "keys/payload.pem",
					     "keys/master.key", "api-key" };
	struct buf first = { 0 }, second = { 0 };
	struct keys a, b;
	struct stat st;

	(void)state;
	umask(0);
	assert_int_equal(keys_load(&a, dir, err, sizeof(err)), 0);
	for (int i = 0; i < 4; i++)
		assert_int_equal(stat(path_of(names[i]), &st), -1);
	assert_int_equal(keys_save(&a, err, sizeof(err)), 0);
	for (int i = 0; i < 4; i++) {
		assert_int_equal(stat(path_of(names[i]), &st), 0);
		assert_int_equal(st.st_mode & 07777, 0600);
		assert_int_equal(st.st_nlink, 1);
	}
	assert_int_equal(stat(path_of("keys"), &st), 0);
	assert_int_equal(st.st_mode & 07777, 0700);
	assert_int_equal(keys_load(&b, dir, err, sizeof(err)), 0);
	assert_string_equal(a.api_key, b.api_key);
	assert_int_equal(token_key_private_pem(a.signing, &first), 0);
	assert_int_equal(token_key_private_pem(b.signing, &second), 0);
	assert_int_equal(first.len, second.len);
	assert_memory_equal(first.data, second.data, first.len);
	buf_deinit_secret(&first);
	buf_deinit_secret(&second);
	assert_int_equal(vault_seal(a.vault, "c", "x", 1, &first), 0);
	assert_int_equal(
		vault_open(b.vault, "c", first.data, first.len, &second), 0);
	buf_deinit(&first);
	buf_deinit(&second);
	assert_int_equal(keys_save(&b, err, sizeof(err)), 0);
	keys_deinit(&a);
	keys_deinit(&b);
}

static void test_what_others_can_read_is_refused(void **state)
{
	static const char *const names[] = { "keys/signing.pem",
					     "keys/payload.pem",
					     "keys/master.key", "api-key" };
	struct keys k;

	(void)state;
	make_keys();
	for (int i = 0; i < 4; i++) {
		assert_int_equal(chmod(path_of(names[i]), 0640), 0);
		assert_int_equal(keys_load(&k, dir, err, sizeof(err)), -EPERM);
		assert_non_null(strstr(err, names[i]));
		assert_non_null(strstr(err, "mode is 0640"));
		assert_non_null(strstr(err, "chmod 600"));
		assert_int_equal(chmod(path_of(names[i]), 0600), 0);
	}
}

static void test_broken_files_are_refused(void **state)
{
	struct keys k;

	(void)state;
	make_keys();
	write_file("keys/signing.pem", "nonsense", 0600);
	assert_int_not_equal(keys_load(&k, dir, err, sizeof(err)), 0);
	assert_non_null(strstr(err, "signing.pem is not a P-256 private key"));
	unlink(path_of("keys/signing.pem"));
	write_file("keys/master.key", "12345\n", 0600);
	assert_int_equal(keys_load(&k, dir, err, sizeof(err)), -EINVAL);
	assert_non_null(strstr(err, "64 hexadecimal digits"));
	unlink(path_of("keys/master.key"));
	write_file("api-key", "short\n", 0600);
	assert_int_equal(keys_load(&k, dir, err, sizeof(err)), -EINVAL);
	assert_non_null(strstr(err, "api-key has to be 16"));
	unlink(path_of("api-key"));
	assert_int_equal(mkdir(path_of("api-key"), 0700), 0);
	assert_int_equal(keys_load(&k, dir, err, sizeof(err)), -EINVAL);
	assert_non_null(strstr(err, "not a regular file"));
}

static void test_environment_wins_and_is_taken(void **state)
{
	char hex[65];
	struct keys k;
	struct stat st;

	(void)state;
	memset(hex, 'A', 64);
	hex[64] = '\0';
	setenv("CRONIUM_MASTER_KEY", hex, 1);
	setenv("CRONIUM_API_KEY", "a-key-from-outside", 1);
	assert_int_equal(keys_load(&k, dir, err, sizeof(err)), 0);
	assert_null(getenv("CRONIUM_MASTER_KEY"));
	assert_null(getenv("CRONIUM_API_KEY"));
	assert_string_equal(k.api_key, "a-key-from-outside");
	assert_int_equal(keys_save(&k, err, sizeof(err)), 0);
	assert_int_equal(stat(path_of("keys/master.key"), &st), -1);
	assert_int_equal(stat(path_of("api-key"), &st), -1);
	keys_deinit(&k);
	hex[63] = 'g';
	setenv("CRONIUM_MASTER_KEY", hex, 1);
	assert_int_equal(keys_load(&k, dir, err, sizeof(err)), -EINVAL);
	assert_null(strstr(err, "AAAA")); /* no value in an error */
	setenv("CRONIUM_API_KEY", "has a space in it", 1);
	assert_int_equal(keys_load(&k, dir, err, sizeof(err)), -EINVAL);
}

static void test_left_over_of_a_crash(void **state)
{
	struct keys k;

	(void)state;
	write_file("api-key.tmp", "half", 0644);
	make_keys();
	assert_int_equal(access(path_of("api-key.tmp"), F_OK), -1);
	assert_int_equal(keys_load(&k, dir, err, sizeof(err)), 0);
	assert_int_equal(strlen(k.api_key), 67);
	keys_deinit(&k);
}

/* ---------------------------------------------------------- directory */

static void test_one_backend_a_directory(void **state)
{
	struct data_dir *d, *second;
	char pid[32];
	struct stat st;

	(void)state;
	assert_int_equal(
		data_dir_open(&d, path_of("new/deep"), 0, err, sizeof(err)), 0);
	assert_int_equal(stat(path_of("new/deep"), &st), 0);
	assert_int_equal(st.st_mode & 07777, 0700);
	snprintf(pid, sizeof(pid), "process id %d;", (int)getpid());
	assert_int_equal(data_dir_open(&second, path_of("new/deep"), 0, err,
				       sizeof(err)),
			 -EBUSY);
	assert_non_null(strstr(err, pid));
	data_dir_close(d);
	assert_int_equal(
		data_dir_open(&d, path_of("new/deep"), 0, err, sizeof(err)), 0);
	data_dir_close(d);
	write_file("file", "", 0600);
	assert_int_equal(data_dir_open(&d, path_of("file"), 0, err,
				       sizeof(err)),
			 -ENOTDIR);
}

static void test_lock_goes_with_its_process(void **state)
{
	struct data_dir *d;
	int ready[2], status;
	pid_t child;
	char c;

	(void)state;
	assert_int_equal(pipe(ready), 0);
	child = fork();
	if (!child) {
		if (data_dir_open(&d, dir, 0, err, sizeof(err)) < 0)
			_exit(1);
		if (write(ready[1], "x", 1) != 1)
			_exit(2);
		for (;;)
			pause();
	}
	assert_int_equal(read(ready[0], &c, 1), 1);
	assert_int_equal(data_dir_open(&d, dir, 0, err, sizeof(err)), -EBUSY);
	assert_int_equal(data_dir_open(&d, dir, 1, err, sizeof(err)), -EBUSY);
	/* It is on its way out, so it is waited for. */
	kill(child, SIGKILL);
	assert_int_equal(data_dir_open(&d, dir, WAIT_MS, err, sizeof(err)), 0);
	assert_int_equal(waitpid(child, &status, 0), child);
	data_dir_close(d);
	close(ready[0]);
	close(ready[1]);
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_made_once_and_private),
		T(test_what_others_can_read_is_refused),
		T(test_broken_files_are_refused),
		T(test_environment_wins_and_is_taken),
		T(test_left_over_of_a_crash),
		T(test_one_backend_a_directory),
		T(test_lock_goes_with_its_process),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
