#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "common/buf.h"
#include "orchestrator/guard.h"
#include "orchestrator/snapshot.h"

/* --- configuration -------------------------------------------------------- */

static struct guard_config parsed(const char *text)
{
	struct guard_config c;
	struct buf why = { 0 };

	assert_int_equal(guard_config_parse(&c, text, &why), 0);
	assert_int_equal(why.len, 0);
	return c;
}

static void test_config(void **state)
{
	struct guard_config c = parsed("cpu=95,zombies=off,average=1m");

	assert_false(c.off);
	assert_int_equal(c.percent[GUARD_CPU], 95);
	assert_int_equal(c.percent[GUARD_MEMORY], 80);
	assert_int_equal(c.percent[GUARD_DISK], 80);
	assert_int_equal(c.percent[GUARD_PRESSURE], 80);
	assert_int_equal(c.percent[GUARD_ZOMBIES], 0);
	assert_int_equal(c.average_ms, 60000);
	assert_int_equal(c.cool_down_ms, 5000);
	assert_true(parsed("off").off);
	assert_int_equal(parsed("cool-down=0").cool_down_ms, 0);
	assert_int_equal(parsed(GUARD_DEFAULTS).average_ms, 30000);
}

static void assert_invalid(const char *text, const char *expect)
{
	struct guard_config c = { .average_ms = 7 };
	struct buf why = { 0 };

	assert_int_equal(guard_config_parse(&c, text, &why), GUARD_E_INVALID);
	assert_string_equal(buf_cstr(&why), expect);
	assert_int_equal(c.average_ms, 7);
	buf_deinit(&why);
}

static void test_config_refuses(void **state)
{
	assert_invalid("cpu=101", "cpu: '101' is no threshold: give a "
				  "percentage from 1 to 100, or off");
	assert_invalid("", ": NAME=VALUE is expected, or off alone");
	/* All at once. */
	assert_invalid(
		"cpu=0,ram=5,average=0,cool-down=2h,memory,disk=80%",
		"cpu: '0' is no threshold: give a percentage from 1 to 100, "
		"or off; ram: there is no such threshold; there are cpu, "
		"memory, disk, pressure, zombies, average and cool-down; "
		"average: '0': give a time from 1s to 10m; "
		"cool-down: '2h': give a time of 1h at most; "
		"memory: NAME=VALUE is expected, or off alone; "
		"disk: '80%' is no threshold: give a percentage from 1 to 100, "
		"or off");
	assert_invalid("cpu=80,off", "off: NAME=VALUE is expected, or off "
				     "alone");
	assert_invalid("123456789012345678901234567890123456789012345678901234"
		       "5678901234567890=1",
		       ": '12345678901234567890…' is too long");
}

/* --- states --------------------------------------------------------------- */

/* A clock of its own, and a machine that is idle but for what a test says. */
struct world {
	struct guard guard;
	struct snapshot s;
	uint64_t now_ms;
};

static int set_up(void **state)
{
	struct world *w = calloc(1, sizeof(*w));
	struct guard_config c = parsed(GUARD_DEFAULTS);

	guard_init(&w->guard, &c);
	snapshot_init(&w->s);
	w->s.cpu_percent = 5;
	w->s.memory.percent = 20;
	w->s.disk.percent = 30;
	w->s.processes.count = 100;
	w->now_ms = 1000000;
	*state = w;
	return 0;
}

static int tear_down(void **state)
{
	free(*state);
	return 0;
}

/* n seconds, a sample at the end of each; how often the state changed. */
static int pass(struct world *w, int n)
{
	int changes = 0;

	while (n--) {
		w->now_ms += 1000;
		changes += guard_take(&w->guard, w->now_ms, &w->s);
	}
	return changes;
}

static void test_memory(void **state)
{
	struct world *w = *state;

	assert_int_equal(pass(w, 10), 0);
	assert_true(guard_accepts(&w->guard));
	assert_null(guard_problem(&w->guard));
	w->s.memory.percent = 79.9;
	assert_int_equal(pass(w, 1), 0);
	/* One value is enough. */
	w->s.memory.percent = 80;
	assert_int_equal(pass(w, 1), 1);
	assert_int_equal(w->guard.state, GUARD_OPEN);
	assert_false(guard_accepts(&w->guard));
	assert_string_equal(guard_problem(&w->guard),
			    "memory is used: 80 %, the guard's limit is 80 %");
	w->s.memory.percent = 91.4;
	assert_int_equal(pass(w, 100), 0);
	assert_string_equal(guard_problem(&w->guard),
			    "memory is used: 91 %, the guard's limit is 80 %");
}

static void test_cool_down(void **state)
{
	struct world *w = *state;

	w->s.disk.percent = 99;
	pass(w, 1);
	w->s.disk.percent = 79;
	assert_int_equal(pass(w, 1), 1);
	assert_int_equal(w->guard.state, GUARD_COOLING);
	assert_false(guard_accepts(&w->guard));
	assert_non_null(guard_problem(&w->guard));
	assert_int_equal(pass(w, 4), 0);
	/* Once more: the cool-down begins anew. */
	w->s.disk.percent = 85;
	assert_int_equal(pass(w, 1), 1);
	assert_int_equal(w->guard.state, GUARD_OPEN);
	w->s.disk.percent = 79;
	assert_int_equal(pass(w, 5), 1);
	assert_int_equal(w->guard.state, GUARD_COOLING);
	assert_int_equal(pass(w, 1), 1);
	assert_int_equal(w->guard.state, GUARD_CLOSED);
	assert_true(guard_accepts(&w->guard));
}

static void test_no_cool_down(void **state)
{
	struct world *w = *state;

	w->guard.config.cool_down_ms = 0;
	w->s.memory.percent = 99;
	pass(w, 1);
	w->s.memory.percent = 9;
	assert_int_equal(pass(w, 1), 1);
	assert_int_equal(w->guard.state, GUARD_CLOSED);
}

/* The CPU is busy for a while after each start of something. */
static void test_cpu_needs_its_average(void **state)
{
	struct world *w = *state;

	w->s.cpu_percent = 100;
	/* There is no average yet: 30 s need 31 samples. */
	assert_int_equal(pass(w, 30), 0);
	assert_int_equal(pass(w, 1), 1);
	assert_string_equal(guard_problem(&w->guard),
			    "the CPU is busy: 100 % (100 % over 30 s), the "
			    "guard's limit is 80 %");
	/* A dip closes it, for the average is not enough alone. */
	w->s.cpu_percent = 10;
	assert_int_equal(pass(w, 1), 1);
	assert_int_equal(w->guard.state, GUARD_COOLING);
	/* Neither is a peak: 30 s ago it was busy, since then idle. */
	pass(w, 40);
	assert_int_equal(w->guard.state, GUARD_CLOSED);
	w->s.cpu_percent = 100;
	assert_int_equal(pass(w, 23), 0);
	/* 24 of 30 s are at 100, the others at 10. */
	assert_int_equal(pass(w, 1), 1);
	assert_int_equal(w->guard.state, GUARD_OPEN);
}

static void test_pressure(void **state)
{
	struct world *w = *state;

	w->s.pressure_memory = (struct snapshot_pressure){ 90, 40 };
	assert_int_equal(pass(w, 31), 1);
	assert_string_equal(guard_problem(&w->guard),
			    "tasks wait for CPU, memory or disk: 90 % (90 % "
			    "over 30 s), the guard's limit is 80 %");
	w->s.pressure_memory.some = SNAPSHOT_UNKNOWN;
	/* Of the disk, "full" counts. */
	w->s.pressure_io = (struct snapshot_pressure){ 99, 10 };
	assert_int_equal(pass(w, 6), 2);
	assert_int_equal(w->guard.state, GUARD_CLOSED);
	w->s.pressure_io.full = 85;
	assert_int_equal(pass(w, 60), 1);
	assert_int_equal(w->guard.state, GUARD_OPEN);
}

static void test_zombies(void **state)
{
	struct world *w = *state;

	w->s.processes.zombies = 80;
	assert_int_equal(pass(w, 1), 1);
	w->guard.config.percent[GUARD_ZOMBIES] = 0;
	assert_int_equal(pass(w, 6), 2);
	assert_true(guard_accepts(&w->guard));
}

static void test_several(void **state)
{
	struct world *w = *state;

	w->s.memory.percent = 81;
	w->s.disk.percent = 82;
	pass(w, 1);
	assert_string_equal(guard_problem(&w->guard),
			    "memory is used: 81 %, the guard's limit is 80 %; "
			    "the disk of the data directory is full: 82 %, "
			    "the guard's limit is 80 %; make room there");
	w->s.memory.percent = 20;
	assert_int_equal(pass(w, 1), 0);
	assert_int_equal(w->guard.state, GUARD_OPEN);
}

/* A kernel that says nothing opens nothing. */
static void test_unknown(void **state)
{
	struct world *w = *state;

	snapshot_init(&w->s);
	for (size_t i = 0; i < GUARD_METRICS; i++)
		w->guard.config.percent[i] = 1;
	assert_int_equal(pass(w, 100), 0);
	assert_true(guard_accepts(&w->guard));
}

static void test_off(void **state)
{
	struct world *w = *state;

	w->guard.config.off = true;
	w->s.memory.percent = 100;
	assert_int_equal(pass(w, 100), 0);
	assert_true(guard_accepts(&w->guard));
}

/* Beats that come too often, too late, or after a pause of the machine. */
static void test_odd_beats(void **state)
{
	struct world *w = *state;

	w->guard.config.average_ms = GUARD_AVERAGE_MAX_MS;
	w->s.cpu_percent = 100;
	for (int i = 0; i < 100000; i++) {
		w->now_ms += 7;
		guard_take(&w->guard, w->now_ms, &w->s);
	}
	assert_int_equal(w->guard.state, GUARD_OPEN);
	w->now_ms += 24ULL * 3600 * 1000;
	w->s.cpu_percent = 0;
	guard_take(&w->guard, w->now_ms, &w->s);
	pass(w, 6);
	assert_int_equal(w->guard.state, GUARD_CLOSED);
	pass(w, 5000);
	assert_true(w->guard.n <= GUARD_SAMPLES_MAX);
}

int main(void)
{
#define GUARD_TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_config),
		cmocka_unit_test(test_config_refuses),
		GUARD_TEST(test_memory),
		GUARD_TEST(test_cool_down),
		GUARD_TEST(test_no_cool_down),
		GUARD_TEST(test_cpu_needs_its_average),
		GUARD_TEST(test_pressure),
		GUARD_TEST(test_zombies),
		GUARD_TEST(test_several),
		GUARD_TEST(test_unknown),
		GUARD_TEST(test_off),
		GUARD_TEST(test_odd_beats),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
