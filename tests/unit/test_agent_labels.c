/* Labels of agents: what is accepted, the normal form, and who has them. */
#include "common/agent_labels.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "common/json.h"

static char normal[AGENT_LABELS_MAX_BYTES];
static char err[256];

static int parse(const char *text)
{
	return agent_labels_parse(text, normal, err, sizeof(err));
}

static int parse_json(const char *text)
{
	_cleanup_json_ json_t *o = json_loads(text, 0, NULL);

	return agent_labels_from_json(o, normal, err, sizeof(err));
}

static void test_the_normal_form_is_sorted(void **state)
{
	assert_int_equal(parse("zone=a,gpu=yes,disk=ssd/nvme"), 0);
	assert_string_equal(normal, "disk=ssd/nvme,gpu=yes,zone=a");
	assert_int_equal(parse(""), 0);
	assert_string_equal(normal, "");
	assert_int_equal(parse_json("{\"zone\":\"a\",\"gpu\":\"yes\"}"), 0);
	assert_string_equal(normal, "gpu=yes,zone=a");
	assert_int_equal(agent_labels_from_json(NULL, normal, err, sizeof(err)),
			 0);
	assert_string_equal(normal, "");
	/* A key that another begins with is the smaller one. */
	assert_int_equal(parse("ab=1,a=1"), 0);
	assert_string_equal(normal, "a=1,ab=1");
}

static void test_what_is_refused(void **state)
{
	static const char *const bad[] = {
		"zone",  "=a",    "zone=", "a=b,",       "a=b,,c=d",
		"a=b=c", "a b=c", "a=b c", "\xc3\xa4=b", "a=1,a=2"
	};
	char text[256];

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(parse(bad[i]), -EINVAL);
	assert_non_null(strstr(err, "the label a is there twice"));
	memset(text, 'x', sizeof(text));
	memcpy(text + AGENT_LABEL_MAX_BYTES, "=1", 3);
	assert_int_equal(parse(text), 0);
	memset(text, 'x', sizeof(text));
	memcpy(text + AGENT_LABEL_MAX_BYTES + 1, "=1", 3);
	assert_int_equal(parse(text), -EINVAL);
	assert_int_equal(parse_json("{\"zone\":1}"), -EINVAL);
	assert_int_equal(parse_json("[]"), -EINVAL);
	assert_int_equal(parse_json("{\"a,b\":\"c\"}"), -EINVAL);
}

static void test_there_are_not_too_many(void **state)
{
	char text[1024] = "";
	size_t at = 0;

	for (int i = 0; i < AGENT_LABELS_MAX; i++)
		at += (size_t)snprintf(text + at, sizeof(text) - at, "%sk%d=v",
				       i ? "," : "", i);
	assert_int_equal(parse(text), 0);
	snprintf(text + at, sizeof(text) - at, ",more=1");
	assert_int_equal(parse(text), -EINVAL);
	assert_non_null(strstr(err, "more than 16"));
}

/* The longest that there can be fit. */
static void test_the_longest(void **state)
{
	char text[AGENT_LABELS_MAX_BYTES];
	size_t at = 0;

	for (int i = 0; i < AGENT_LABELS_MAX; i++) {
		at += (size_t)snprintf(text + at, sizeof(text) - at,
				       "%s%02d%061d=%063d", i ? "," : "", i, 0,
				       0);
	}
	assert_int_equal(strlen(text), AGENT_LABELS_MAX_BYTES - 1);
	assert_int_equal(parse(text), 0);
	assert_string_equal(normal, text);
}

static void test_within(void **state)
{
	assert_true(agent_labels_within("", ""));
	assert_true(agent_labels_within("", "a=1"));
	assert_true(agent_labels_within("a=1", "a=1,b=2"));
	assert_true(agent_labels_within("a=1,c=3", "a=1,b=2,c=3"));
	assert_false(agent_labels_within("a=1", ""));
	assert_false(agent_labels_within("a=1", "a=12"));
	assert_false(agent_labels_within("a=12", "a=1"));
	assert_false(agent_labels_within("a=1,d=4", "a=1,b=2"));
}

static void test_as_json(void **state)
{
	_cleanup_json_ json_t *o = agent_labels_json("gpu=yes,zone=a");
	_cleanup_json_ json_t *none = agent_labels_json("");

	assert_int_equal(json_object_size(o), 2);
	assert_string_equal(json_get_str(o, "gpu", ""), "yes");
	assert_string_equal(json_get_str(o, "zone", ""), "a");
	assert_int_equal(json_object_size(none), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_the_normal_form_is_sorted),
		cmocka_unit_test(test_what_is_refused),
		cmocka_unit_test(test_there_are_not_too_many),
		cmocka_unit_test(test_the_longest),
		cmocka_unit_test(test_within),
		cmocka_unit_test(test_as_json),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
