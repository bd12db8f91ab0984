#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/json.h"
#include "orchestrator/process_scan.h"
#include "orchestrator/snapshot.h"

/* --- /proc/stat ----------------------------------------------------------- */

/* Linux 6.1, two cores. */
static const char stat_6_1[] =
	"cpu  1602738 1354263 1338616 2501208 19000 0 69598 1106 0 0\n"
	"cpu0 788737 625960 681656 1308525 6862 0 28480 562 0 0\n"
	"cpu1 814001 728302 656959 1192682 12138 0 41117 544 0 0\n"
	"intr 91013143 0 0 576 1\n"
	"ctxt 180231233\nbtime 1795000000\nprocesses 8123\n"
	"procs_running 3\nprocs_blocked 0\n"
	"softirq 4123 0 1 2\n";

static void test_stat(void **state)
{
	struct snapshot_cpu cpu = { 0 };

	assert_int_equal(snapshot_parse_stat(stat_6_1, &cpu), 0);
	assert_int_equal(cpu.cores, 2);
	assert_int_equal(cpu.busy, 1602738 + 1354263 + 1338616 + 69598 + 1106);
	assert_int_equal(cpu.total, cpu.busy + 2501208 + 19000);
	/* Linux 2.6.18 has no guest columns. */
	assert_int_equal(snapshot_parse_stat("cpu  1 2 3 4 5 6 7 8\n"
					     "cpu0 1 2 3 4 5 6 7 8\n",
					     &cpu),
			 0);
	assert_int_equal(cpu.total, 36);
	assert_int_equal(cpu.busy, 27);
}

static void test_stat_refuses(void **state)
{
	static const char *const bad[] = {
		"",
		"cpu",
		"cpu \n",
		"cpu  1 2 3 4 5 6 7\n",
		"cpu  1 2 3 -4 5 6 7 8\ncpu0 1 2 3 4 5 6 7 8\n",
		"cpu  1 2 3 4 5 6 7 8\n",
		"cpu  99999999999999999999 2 3 4 5 6 7 8\ncpu0 1\n",
		"cpuX 1 2 3 4 5 6 7 8\ncpu0 1\n",
	};
	struct snapshot_cpu cpu = { .cores = 7 };

	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
		assert_true(snapshot_parse_stat(bad[i], &cpu) < 0);
	assert_int_equal(cpu.cores, 7);
}

static void test_cpu_percent(void **state)
{
	const struct snapshot_cpu a = { 100, 1000, 2 }, b = { 150, 1200, 2 },
				  all = { 300, 1200, 2 },
				  more = { 400, 1200, 2 },
				  back = { 90, 900, 2 }, idle = { 99, 1100, 2 };

	assert_float_equal(snapshot_cpu_percent(&a, &b), 25, 1e-9);
	assert_float_equal(snapshot_cpu_percent(&a, &all), 100, 1e-9);
	assert_float_equal(snapshot_cpu_percent(&a, &more), 100, 1e-9);
	assert_float_equal(snapshot_cpu_percent(&a, &idle), 0, 1e-9);
	assert_true(snapshot_cpu_percent(&a, &a) < 0);
	assert_true(snapshot_cpu_percent(&a, &back) < 0);
}

/* --- /proc/meminfo -------------------------------------------------------- */

static void test_meminfo(void **state)
{
	struct snapshot_memory m;

	assert_int_equal(snapshot_parse_meminfo("MemTotal:       24684084 kB\n"
						"MemFree:        22180136 kB\n"
						"MemAvailable:   12342042 kB\n"
						"Buffers:           32368 kB\n",
						&m),
			 0);
	assert_int_equal(m.total_bytes, 24684084ULL * 1024);
	assert_int_equal(m.available_bytes, 12342042ULL * 1024);
	assert_float_equal(m.percent, 50, 1e-9);
	/* Linux 3.10 (CentOS 7's kernel has it backported, others do not). */
	assert_int_equal(snapshot_parse_meminfo("MemTotal:     1000 kB\n"
						"MemFree:       100 kB\n"
						"Buffers:        50 kB\n"
						"Cached:        150 kB\n"
						"SwapCached:      9 kB\n",
						&m),
			 0);
	assert_float_equal(m.percent, 70, 1e-9);
	/* The guess may be more than there is. */
	assert_int_equal(snapshot_parse_meminfo("MemTotal: 10 kB\n"
						"MemFree: 10 kB\nCached: 9 kB",
						&m),
			 0);
	assert_float_equal(m.percent, 0, 1e-9);
}

static void test_meminfo_refuses(void **state)
{
	static const char *const bad[] = {
		"",
		"MemTotal",
		"MemTotal:",
		"MemTotal: 0 kB\nMemAvailable: 0 kB\n",
		"MemTotal: 10 kB\n",
		"MemTotal: x kB\nMemAvailable: 0 kB\n",
		"MemTotal: 18446744073709551615 kB\nMemAvailable: 0 kB\n",
		"MemAvailable: 10 kB\n",
	};
	struct snapshot_memory m;

	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
		assert_true(snapshot_parse_meminfo(bad[i], &m) < 0);
}

/* --- /proc/loadavg, /proc/pressure ---------------------------------------- */

static void test_loadavg(void **state)
{
	double load[3];

	assert_int_equal(snapshot_parse_loadavg("0.69 10.53 103.05 1/112 26208",
						load),
			 0);
	assert_float_equal(load[0], 0.69, 1e-9);
	assert_float_equal(load[1], 10.53, 1e-9);
	assert_float_equal(load[2], 103.05, 1e-9);
	assert_true(snapshot_parse_loadavg("", load) < 0);
	assert_true(snapshot_parse_loadavg("1.0 2.0", load) < 0);
	assert_true(snapshot_parse_loadavg("1. 2.0 3.0", load) < 0);
	assert_true(snapshot_parse_loadavg("nan 2.0 3.0", load) < 0);
}

static void test_pressure(void **state)
{
	struct snapshot_pressure p;

	assert_int_equal(
		snapshot_parse_pressure(
			"some avg10=12.34 avg60=2.82 avg300=1.75 total=137\n"
			"full avg10=5.06 avg60=0.00 avg300=0.00 total=0\n",
			&p),
		0);
	assert_float_equal(p.some, 12.34, 1e-9);
	assert_float_equal(p.full, 5.06, 1e-9);
	/* The CPU's before Linux 5.13. */
	assert_int_equal(snapshot_parse_pressure("some avg10=1.00 avg60=0.00 "
						 "avg300=0.00 total=1\n",
						 &p),
			 0);
	assert_true(p.full < 0);
	assert_true(snapshot_parse_pressure("", &p) < 0);
	assert_true(snapshot_parse_pressure("some avg10=\n", &p) < 0);
	assert_true(snapshot_parse_pressure("full avg10=1.0\n", &p) < 0);
}

/* --- /proc/PID/stat ------------------------------------------------------- */

#define PID_TAIL                                                             \
	" 1 84 84 0 -1 4194560 336123 0 0 56892 2167 20852 11 12 10 -10 14 " \
	"0 24 57188352 5537 18446744073709551615 1 1 0 0\n"

static void test_pid(void **state)
{
	struct proc_stat p;

	assert_int_equal(proc_stat_parse("84 (python3) R" PID_TAIL, &p), 0);
	assert_int_equal(p.pid, 84);
	assert_int_equal(p.parent, 1);
	assert_string_equal(p.name, "python3");
	assert_int_equal(p.state, 'R');
	assert_int_equal(p.ticks, 2167 + 20852);
	assert_int_equal(p.start_ticks, 24);
	assert_int_equal(p.rss_pages, 5537);
	/* Whatever it calls itself. */
	assert_int_equal(
		proc_stat_parse("7 (a) Z 1 (\n\xc3\xa9) S" PID_TAIL, &p), 0);
	assert_int_equal(p.state, 'S');
	assert_string_equal(p.name, "a) Z 1 (???");
	assert_int_equal(proc_stat_parse("7 () Z" PID_TAIL, &p), 0);
	assert_string_equal(p.name, "");
	assert_int_equal(p.state, 'Z');
}

static void test_pid_refuses(void **state)
{
	static const char *const bad[] = {
		"",
		"7",
		"7 (a",
		"7 a)",
		"7 (a)",
		"7 (a) ",
		"7 (a) S",
		"7 (a) S 1 2 3",
		"7 )a( S" PID_TAIL,
		"x (a) S" PID_TAIL,
		"99999999999 (a) S" PID_TAIL,
	};
	struct proc_stat p;

	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
		assert_true(proc_stat_parse(bad[i], &p) < 0);
}

/* --- figures and JSON ----------------------------------------------------- */

static void test_figures(void **state)
{
	struct snapshot_processes p = { .count = 8, .zombies = 2 };

	assert_float_equal(snapshot_zombies_percent(&p), 25, 1e-9);
	p.count = 0;
	assert_true(snapshot_zombies_percent(&p) < 0);
	assert_float_equal(snapshot_disk_percent(30, 70), 30, 1e-9);
	assert_true(snapshot_disk_percent(0, 0) < 0);
}

static void assert_json(const struct snapshot *s, const char *expect)
{
	_cleanup_json_ json_t *o = snapshot_json(s);
	struct buf text = { 0 };

	assert_non_null(o);
	assert_int_equal(json_append(&text, o), 0);
	assert_string_equal(buf_cstr(&text), expect);
	buf_deinit(&text);
}

static void test_json(void **state)
{
	struct snapshot s;

	snapshot_init(&s);
	assert_json(&s,
		    "{\"at_ms\":0,\"interval_ms\":0,\"cores\":0,"
		    "\"cpu_percent\":null,\"load\":[null,null,null],"
		    "\"memory\":{\"total_bytes\":0,\"available_bytes\":0,"
		    "\"percent\":null},\"pressure\":null,"
		    "\"disk\":{\"path\":null,\"total_bytes\":0,"
		    "\"free_bytes\":0,\"percent\":null},"
		    "\"processes\":{\"count\":0,\"zombies\":0,\"top\":[]}}");
	s.at_ms = 1795000000123;
	s.cores = 2;
	s.cpu_percent = 12.5;
	s.load[0] = 0.25;
	s.pressure_cpu.some = 1;
	s.pressure_io = (struct snapshot_pressure){ 2, 3 };
	s.processes = (struct snapshot_processes){
		.count = 3, .n_top = 1, .top = { { 7, "bash", 50, 4096 } }
	};
	assert_json(&s,
		    "{\"at_ms\":1795000000123,\"interval_ms\":0,\"cores\":2,"
		    "\"cpu_percent\":12.5,\"load\":[0.25,null,null],"
		    "\"memory\":{\"total_bytes\":0,\"available_bytes\":0,"
		    "\"percent\":null},\"pressure\":{\"cpu\":{\"some\":1.0},"
		    "\"memory\":{\"some\":null,\"full\":null},"
		    "\"io\":{\"some\":2.0,\"full\":3.0}},"
		    "\"disk\":{\"path\":null,\"total_bytes\":0,"
		    "\"free_bytes\":0,\"percent\":null},"
		    "\"processes\":{\"count\":3,\"zombies\":0,\"top\":["
		    "{\"pid\":7,\"name\":\"bash\",\"cpu_percent\":50.0,"
		    "\"memory_bytes\":4096}]}}");
}

/* --- the real /proc ------------------------------------------------------- */

static void scan(struct process_scan *s, uint64_t now_us,
		 struct snapshot_processes *out)
{
	for (int steps = 1; !process_scan_step(s, now_us, 1, out); steps++)
		assert_true(steps < 4096);
}

static void burn(void)
{
	for (clock_t until = clock() + CLOCKS_PER_SEC / 5; clock() < until;)
		;
}

/* This process is among those who use most, after it has used something; it
 * has a child that nobody reaps. */
static void test_process_scan(void **state)
{
	pid_t child = fork();
	struct snapshot_processes p;
	struct process_scan *s;
	bool found = false;
	siginfo_t info;

	if (!child)
		_exit(0);
	waitid(P_PID, (id_t)child, &info, WEXITED | WNOWAIT);
	assert_int_equal(process_scan_new(&s), 0);
	scan(s, 1000000, &p);
	assert_true(p.count > 1);
	assert_true(p.zombies >= 1);
	assert_int_equal(p.n_top, 0);
	burn();
	scan(s, 1200000, &p);
	assert_int_equal(p.n_top, SNAPSHOT_TOP);
	for (size_t i = 0; i < p.n_top; i++) {
		assert_true(p.top[i].cpu_percent <= 100);
		found |= p.top[i].pid == getpid();
		if (i)
			assert_true(p.top[i].cpu_percent <=
				    p.top[i - 1].cpu_percent);
	}
	/* Unless the machine is full of others who do the same. */
	assert_true(found || p.top[p.n_top - 1].cpu_percent >= 100);
	process_scan_free(s);
	waitpid(child, NULL, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_stat),
		cmocka_unit_test(test_stat_refuses),
		cmocka_unit_test(test_cpu_percent),
		cmocka_unit_test(test_meminfo),
		cmocka_unit_test(test_meminfo_refuses),
		cmocka_unit_test(test_loadavg),
		cmocka_unit_test(test_pressure),
		cmocka_unit_test(test_pid),
		cmocka_unit_test(test_pid_refuses),
		cmocka_unit_test(test_figures),
		cmocka_unit_test(test_json),
		cmocka_unit_test(test_process_scan),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
