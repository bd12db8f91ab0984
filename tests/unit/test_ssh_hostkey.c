#include <openssl/evp.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "orchestrator/ssh_hostkey.h"

#define KEY_A                                  \
	"AAAAC3NzaC1lZDI1NTE5AAAAIBwYMJeDY0pE" \
	"KNSp4jCawbLxnwAUVSJZHIXEwDjxIiIg"
#define KEY_B                                  \
	"AAAAC3NzaC1lZDI1NTE5AAAAIFJ4BmSQd8UQ" \
	"GjW/jzsVAHdG8CGKcW9j64lyxfyGObho"
#define KEY_C                                                      \
	"AAAAE2VjZHNhLXNoYTItbmlzdHAyNTYAAAAIbmlzdHAyNTYAAABBBOd9" \
	"vXS4a85Exn7Zcgx09ShYx6DEk+sznA68joEPlYzfoDBrCPhcY9Mk+QKN" \
	"fD1PUv84hUojShNXPywhwLXZol0="
#define PRINT_A "SHA256:scsSgm1b8/PlNpm1bT1R4F27Qsh6oE/hJ75rkdf4wyc"
#define PRINT_B "SHA256:ZPwv21DwooIhDmDyCMh7+yIYeQUd0DkwRqe4YT99u5E"
#define ED "ssh-ed25519 "
#define EC "ecdsa-sha2-nistp256 "

static struct ssh_hostkey_finding judge(const char *pinned, const char *known,
					uint16_t port, const char *key)
{
	const struct ssh_hostkey_store store = {
		.pinned = pinned,
		.known = known,
		.address = "h.example",
		.port = port,
	};
	struct ssh_hostkey_finding found;
	unsigned char blob[256];
	size_t pad = key[strlen(key) - 1] == '=';
	int n = EVP_DecodeBlock(blob, (const unsigned char *)key,
				(int)strlen(key));

	assert_true(n > 0);
	ssh_hostkey_judge(&store, blob, (size_t)n - pad, &found);
	return found;
}

static void check(const char *known, enum ssh_hostkey_verdict verdict)
{
	assert_int_equal(judge(NULL, known, 22, KEY_A).verdict, verdict);
}

static void test_pinned(void **state)
{
	struct ssh_hostkey_finding f = judge(PRINT_A, NULL, 22, KEY_A);

	assert_int_equal(f.verdict, SSH_HOSTKEY_GOOD);
	assert_string_equal(f.seen, PRINT_A);
	assert_string_equal(f.algorithm, "ssh-ed25519");
	f = judge(PRINT_A, "h.example " ED KEY_B "\n", 22, KEY_B);
	assert_int_equal(f.verdict, SSH_HOSTKEY_CHANGED);
	assert_string_equal(f.expected, PRINT_A);
	assert_string_equal(f.seen, PRINT_B);
	f = judge(PRINT_A, "@revoked * " ED KEY_A, 22, KEY_A);
	assert_int_equal(f.verdict, SSH_HOSTKEY_REVOKED);
}

static void test_known(void **state)
{
	check(NULL, SSH_HOSTKEY_UNKNOWN);
	check("", SSH_HOSTKEY_UNKNOWN);
	check("h.example " ED KEY_A, SSH_HOSTKEY_GOOD);
	check("H.EXAMPLE\t" ED KEY_A "\r\n", SSH_HOSTKEY_GOOD);
	check("x,h.example,y " ED KEY_A " comment", SSH_HOSTKEY_GOOD);
	check("*.example " ED KEY_A, SSH_HOSTKEY_GOOD);
	check("*.example,!h.example " ED KEY_A, SSH_HOSTKEY_UNKNOWN);
	check("other " ED KEY_A, SSH_HOSTKEY_UNKNOWN);
	check("[h.example]:2222 " ED KEY_A, SSH_HOSTKEY_UNKNOWN);
	check("h.example " ED KEY_B, SSH_HOSTKEY_CHANGED);
	check("h.example " EC KEY_C, SSH_HOSTKEY_CHANGED);
	check("h.example " ED KEY_B "\nh.example " ED KEY_A, SSH_HOSTKEY_GOOD);
	check("h.example " ED KEY_A "\n@revoked h.example " ED KEY_A,
	      SSH_HOSTKEY_REVOKED);
	check("@revoked h.example " ED KEY_B, SSH_HOSTKEY_UNKNOWN);
	check("@cert-authority * " ED KEY_A, SSH_HOSTKEY_UNKNOWN);
}

static void test_hashed(void **state)
{
	check("|1|w7aTT1bBTiU3XDJx29JHaSIzTBQ=|Cipjl+Njr3rjHX38wZq4siwkNjQ= " ED
		      KEY_A,
	      SSH_HOSTKEY_GOOD);
	check("|1|4fDf6PDfT63qB9FxqWYoh2s/Ypk=|ZvxDS15oc+q5xwEQVnnfMn0KW+g= " ED
		      KEY_A,
	      SSH_HOSTKEY_UNKNOWN);
	assert_int_equal(
		judge(NULL,
		      "|1|4fDf6PDfT63qB9FxqWYoh2s/Ypk=|ZvxDS15oc+q5xwEQVnnfMn0"
		      "KW+g= " ED KEY_A,
		      2222, KEY_A)
			.verdict,
		SSH_HOSTKEY_GOOD);
}

static void test_port(void **state)
{
	assert_int_equal(
		judge(NULL, "[h.example]:2222 " ED KEY_A, 2222, KEY_A).verdict,
		SSH_HOSTKEY_GOOD);
	assert_int_equal(
		judge(NULL, "[*.example]:2222 " ED KEY_A, 2222, KEY_A).verdict,
		SSH_HOSTKEY_GOOD);
	assert_int_equal(
		judge(NULL, "h.example " ED KEY_A, 2222, KEY_A).verdict,
		SSH_HOSTKEY_UNKNOWN);
}

static void test_nonsense(void **state)
{
	check("\n\n#\n   \nh.example\nh.example ssh-ed25519\n",
	      SSH_HOSTKEY_UNKNOWN);
	check("h.example ssh-ed25519 !!!!\n", SSH_HOSTKEY_UNKNOWN);
	check("|1| " ED KEY_A "\n|1|x|y " ED KEY_A, SSH_HOSTKEY_UNKNOWN);
	check("h.example " ED "AAAA\nh.example " ED KEY_A, SSH_HOSTKEY_GOOD);
}

static void test_prefer(void **state)
{
	struct ssh_hostkey_store store = {
		.known = "h.example " EC KEY_C "\n",
		.address = "h.example",
		.port = 22,
	};
	char prefer[SSH_HOSTKEY_PREFER_BYTES];

	ssh_hostkey_prefer(&store, prefer);
	assert_int_equal(strncmp(prefer, "ecdsa-sha2-nistp256,ssh-ed25519,",
				 strlen("ecdsa-sha2-nistp256,ssh-ed25519,")),
			 0);
	store.known = NULL;
	ssh_hostkey_prefer(&store, prefer);
	assert_int_equal(strncmp(prefer, "ssh-ed25519,", 12), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_pinned),   cmocka_unit_test(test_known),
		cmocka_unit_test(test_hashed),   cmocka_unit_test(test_port),
		cmocka_unit_test(test_nonsense), cmocka_unit_test(test_prefer),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
