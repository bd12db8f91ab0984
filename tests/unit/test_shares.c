#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/runtime_config.h"
#include "orchestrator/shares.h"

/* A directory with "in", "in/deep", "file" and "link", which leads to in. */
static char base[64];
static const char *const nothing_kept[] = { NULL };

static int set_up(void **state)
{
	char path[128];
	FILE *f;

	snprintf(base, sizeof(base), "/var/lib/cronium-shares-XXXXXX");
	if (!mkdtemp(base)) {
		snprintf(base, sizeof(base), "/tmp/cronium-shares-XXXXXX");
		assert_non_null(mkdtemp(base));
	}
	snprintf(path, sizeof(path), "%s/in", base);
	assert_int_equal(mkdir(path, 0755), 0);
	snprintf(path, sizeof(path), "%s/in/deep", base);
	assert_int_equal(mkdir(path, 0755), 0);
	snprintf(path, sizeof(path), "%s/link", base);
	assert_int_equal(symlink("in", path), 0);
	snprintf(path, sizeof(path), "%s/file", base);
	f = fopen(path, "we");
	assert_non_null(f);
	return fclose(f);
}

static int tear_down(void **state)
{
	static const char *const names[] = { "in/deep", "in", "link", "file",
					     "" };
	char path[128];

	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		snprintf(path, sizeof(path), "%s/%s", base, names[i]);
		assert_int_equal(remove(path), 0);
	}
	return 0;
}

static int add(struct shares *s, const char *prefix, const char *name,
	       const char *const *kept, char *err, size_t err_size)
{
	char text[256];

	snprintf(text, sizeof(text), "%s%s%s", prefix, base, name);
	return shares_add(s, text, kept, err, err_size);
}

static void test_add(void **state)
{
	struct shares s = { 0 };
	char err[512] = "", inner[128];

	assert_int_equal(
		add(&s, "", "/in/deep:rw", nothing_kept, err, sizeof(err)), 0);
	assert_int_equal(add(&s, "", "/in", nothing_kept, err, sizeof(err)), 0);
	/* What lies in another comes after it. */
	assert_int_equal(s.n, 2);
	assert_false(s.items[0].write);
	assert_true(s.items[1].write);
	snprintf(inner, sizeof(inner), "%s/in/deep/x", base);
	assert_ptr_equal(shares_find(&s, NULL, inner), &s.items[1]);
	snprintf(inner, sizeof(inner), "%s/in/deeper", base);
	assert_ptr_equal(shares_find(&s, NULL, inner), &s.items[0]);
	assert_null(shares_find(&s, NULL, base));
	assert_null(shares_find(&s, "web", inner));
	shares_deinit(&s);
}

static void test_refused(void **state)
{
	static const struct {
		const char *text, *said;
	} cases[] = {
		{ "/", "pods have" },
		{ "/proc", "pods have" },
		{ "/proc/self", "canonical" },
		{ "/proc/sys", "pods have" },
		{ "/sys/fs", "pods have" },
		{ "/usr", "pods have" },
		{ "/etc", "pods have" },
		{ "/tmp", "pods have" },
		{ "relative", "absolute" },
		{ "host:relative", "absolute" },
		{ "host:/a/../b", "host's" },
		{ "host:/", "host's" },
		{ "/no/such/directory", "no such directory" },
		{ "", "absolute" },
		{ ":rw", "absolute" },
	};
	struct shares s = { 0 };
	char err[512];

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		assert_int_equal(shares_add(&s, cases[i].text, nothing_kept,
					    err, sizeof(err)),
				 -EINVAL);
		if (!strstr(err, cases[i].said) || !strstr(err, "--share"))
			fail_msg("%s: %s", cases[i].text, err);
	}
	assert_int_equal(add(&s, "", "/link", nothing_kept, err, sizeof(err)),
			 -EINVAL);
	assert_int_equal(add(&s, "", "/in/", nothing_kept, err, sizeof(err)),
			 -EINVAL);
	assert_int_equal(add(&s, "", "/file", nothing_kept, err, sizeof(err)),
			 -EINVAL);
	assert_non_null(strstr(err, "no directory"));
	assert_int_equal(s.n, 0);
	shares_deinit(&s);
}

/* Keys and sockets of the server are never shown. */
static void test_kept(void **state)
{
	char inner[128], err[512];
	const char *const kept[] = { inner, NULL };
	struct shares s = { 0 };

	snprintf(inner, sizeof(inner), "%s/in", base);
	assert_int_equal(add(&s, "", "/in", kept, err, sizeof(err)), -EINVAL);
	assert_int_equal(add(&s, "", "/in/deep", kept, err, sizeof(err)),
			 -EINVAL);
	assert_int_equal(add(&s, "", "", kept, err, sizeof(err)), -EINVAL);
	assert_non_null(strstr(err, "server's own"));
	shares_deinit(&s);
}

static bool allows(const struct shares *s, const char *host, const char *path,
		   char *why, size_t size)
{
	const struct runtime_permissions p = { .read = RUNTIME_ALLOW_LIST(
						       path) };

	return shares_allow(s, host, &p, why, size);
}

static void test_hosts(void **state)
{
	struct shares s = { 0 };
	char why[2048];
	_cleanup_free_ char *text = NULL;
	json_t *list;

	assert_int_equal(shares_add(&s, "web:/srv:rw", nothing_kept, why,
				    sizeof(why)),
			 0);
	assert_int_equal(
		shares_add(&s, "*:/logs", nothing_kept, why, sizeof(why)), 0);
	assert_true(allows(&s, "web", "/srv/a", why, sizeof(why)));
	assert_true(allows(&s, "db", "/logs", why, sizeof(why)));
	assert_false(allows(&s, "db", "/srv/a", why, sizeof(why)));
	assert_non_null(strstr(why, "--share db:DIR"));
	assert_false(allows(&s, NULL, "/srv/a", why, sizeof(why)));
	assert_non_null(strstr(why, "--share DIR"));
	assert_false(allows(&s, "web", "/srvx", why, sizeof(why)));
	list = shares_json(&s, "web", false);
	text = json_dumps(list, JSON_COMPACT);
	assert_string_equal(text, "[{\"path\":\"/logs\",\"write\":false},"
				  "{\"path\":\"/srv\",\"write\":true}]");
	json_decref(list);
	list = shares_json(&s, "web", true);
	assert_false(json_is_true(
		json_object_get(json_array_get(list, 1), "write")));
	json_decref(list);
	shares_deinit(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_add),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_kept),
		cmocka_unit_test(test_hosts),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
