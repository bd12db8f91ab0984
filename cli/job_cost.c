#include "cli/job_cost.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "cli/job_view.h"
#include "cli/output.h"
#include "common/json.h"
#include "common/macro.h"

#define JOB_COST_TEXT_BYTES 128
#define JOB_COST_COLUMNS 3 /* what, before, after */
#define JOB_COST_UNKNOWN "-"

/* --- numbers -------------------------------------------------------------- */

const char *job_cost_bytes(int64_t bytes, char *out, size_t size)
{
	static const char *const units[] = { "KiB", "MiB", "GiB", "TiB" };
	double value = (double)bytes / 1024;
	size_t i = 0;

	if (bytes < 1024) {
		snprintf(out, size, "%lld bytes", (long long)bytes);
		return out;
	}
	for (; value >= 1024 && i < ARRAY_SIZE(units) - 1; i++)
		value /= 1024;
	snprintf(out, size, "%.1f %s", value, units[i]);
	return out;
}

/* Negative: it is not there, or nobody knows it. */
static double job_cost_number(const json_t *o, const char *key)
{
	const json_t *v = json_object_get(o, key);

	return json_is_number(v) ? json_number_value(v) : -1;
}

static bool job_cost_knows(const json_t *o, const char *key)
{
	return json_is_number(json_object_get(o, key));
}

/* --- usage ---------------------------------------------------------------- */

static void job_cost_line(const char *name, const char *value)
{
	printf(JOB_LINE_FORMAT, name);
	output_text("%s\n", value);
}

static void job_cost_print_disk(const json_t *usage)
{
	char text[JOB_COST_TEXT_BYTES], in[32], out[32];

	if (!job_cost_knows(usage, "read_bytes") ||
	    !job_cost_knows(usage, "write_bytes"))
		return;
	job_cost_bytes(json_get_int(usage, "read_bytes", 0), in, sizeof(in));
	job_cost_bytes(json_get_int(usage, "write_bytes", 0), out, sizeof(out));
	snprintf(text, sizeof(text), "%s read, %s written", in, out);
	job_cost_line("disk", text);
}

void job_cost_print_usage(const json_t *job)
{
	const json_t *usage = json_object_get(job, "usage");
	char text[JOB_COST_TEXT_BYTES], bytes[32];

	if (job_cost_knows(usage, "user_us")) {
		snprintf(text, sizeof(text), "%.2f s user, %.2f s system",
			 job_cost_number(usage, "user_us") / 1e6,
			 job_cost_number(usage, "system_us") / 1e6);
		job_cost_line("CPU", text);
	}
	if (job_cost_knows(usage, "peak_memory_bytes")) {
		snprintf(text, sizeof(text), "%s at most",
			 job_cost_bytes(json_get_int(usage, "peak_memory_bytes",
						     0),
					bytes, sizeof(bytes)));
		job_cost_line("memory", text);
	}
	job_cost_print_disk(usage);
}

/* --- the machine ---------------------------------------------------------- */

/* Cells of one row are made by one function, from one snapshot each. */
struct job_cost_row {
	const char *name;
	void (*cell)(const json_t *snapshot, char *out, size_t size);
};

static void job_cost_cpu(const json_t *s, char *out, size_t size)
{
	double percent = job_cost_number(s, "cpu_percent");

	if (percent >= 0)
		snprintf(out, size, "%.1f %% of %lld cores, over %.1f s",
			 percent, (long long)json_get_int(s, "cores", 0),
			 job_cost_number(s, "interval_ms") / 1000);
}

static void job_cost_load(const json_t *s, char *out, size_t size)
{
	const json_t *load = json_object_get(s, "load");
	double n[3];

	for (size_t i = 0; i < ARRAY_SIZE(n); i++) {
		const json_t *v = json_array_get(load, i);

		if (!json_is_number(v))
			return;
		n[i] = json_number_value(v);
	}
	snprintf(out, size, "%.2f %.2f %.2f", n[0], n[1], n[2]);
}

static void job_cost_memory(const json_t *s, char *out, size_t size)
{
	const json_t *memory = json_object_get(s, "memory");
	double percent = job_cost_number(memory, "percent");
	char bytes[32];

	job_cost_bytes(json_get_int(memory, "total_bytes", 0), bytes,
		       sizeof(bytes));
	if (percent >= 0)
		snprintf(out, size, "%.1f %% of %s", percent, bytes);
}

static void job_cost_disk(const json_t *s, char *out, size_t size)
{
	const json_t *disk = json_object_get(s, "disk");
	double percent = job_cost_number(disk, "percent");
	char bytes[32];

	job_cost_bytes(json_get_int(disk, "free_bytes", 0), bytes,
		       sizeof(bytes));
	if (percent >= 0)
		snprintf(out, size, "%.1f %%, %s free", percent, bytes);
}

static void job_cost_pressure(const json_t *s, char *out, size_t size)
{
	const json_t *p = json_object_get(s, "pressure");
	double n[3] = {
		job_cost_number(json_object_get(p, "cpu"), "some"),
		job_cost_number(json_object_get(p, "memory"), "some"),
		job_cost_number(json_object_get(p, "io"), "some"),
	};

	if (n[0] >= 0 && n[1] >= 0 && n[2] >= 0)
		snprintf(out, size, "%.1f %% CPU, %.1f %% memory, %.1f %% disk",
			 n[0], n[1], n[2]);
}

static void job_cost_processes(const json_t *s, char *out, size_t size)
{
	const json_t *p = json_object_get(s, "processes");
	long long zombies = json_get_int(p, "zombies", 0);
	int n;

	if (!json_get_int(p, "count", 0))
		return; /* they were not looked at yet */
	n = snprintf(out, size, "%lld", (long long)json_get_int(p, "count", 0));
	if (zombies)
		snprintf(out + n, size - (size_t)n, ", %lld of them zombies",
			 zombies);
}

static void job_cost_busiest(const json_t *s, char *out, size_t size)
{
	const json_t *top = json_object_get(json_object_get(s, "processes"),
					    "top");
	const json_t *first = json_array_get(top, 0);

	if (first)
		snprintf(out, size, "%.64s (%lld), %.1f %% CPU",
			 json_get_str(first, "name", "?"),
			 (long long)json_get_int(first, "pid", 0),
			 job_cost_number(first, "cpu_percent"));
}

static const struct job_cost_row job_cost_rows[] = {
	{ "CPU", job_cost_cpu },          { "load", job_cost_load },
	{ "memory", job_cost_memory },    { "disk", job_cost_disk },
	{ "waiting", job_cost_pressure }, { "processes", job_cost_processes },
	{ "busiest", job_cost_busiest },
};

static void job_cost_fill(const struct job_cost_row *row,
			  const json_t *snapshot, struct output_cell *cell)
{
	snprintf(cell->text, sizeof(cell->text), JOB_COST_UNKNOWN);
	if (json_is_object(snapshot))
		row->cell(snapshot, cell->text, sizeof(cell->text));
}

void job_cost_print_machine(const json_t *job)
{
	static const char *const heads[] = { "MACHINE", "BEFORE", "AFTER" };
	const json_t *telemetry = json_object_get(job, "telemetry");
	struct output_cell
		cells[ARRAY_SIZE(job_cost_rows) * JOB_COST_COLUMNS] = { 0 };

	if (!json_is_object(telemetry))
		return;
	for (size_t i = 0; i < ARRAY_SIZE(job_cost_rows); i++) {
		struct output_cell *row = &cells[i * JOB_COST_COLUMNS];

		snprintf(row[0].text, sizeof(row[0].text), "%s",
			 job_cost_rows[i].name);
		job_cost_fill(&job_cost_rows[i],
			      json_object_get(telemetry, "before"), &row[1]);
		job_cost_fill(&job_cost_rows[i],
			      json_object_get(telemetry, "after"), &row[2]);
	}
	putchar('\n');
	output_table(heads, JOB_COST_COLUMNS, cells, ARRAY_SIZE(job_cost_rows));
}

void job_cost_print_snapshot(const json_t *snapshot)
{
	struct output_cell cell;

	if (!json_is_object(snapshot))
		return;
	for (size_t i = 0; i < ARRAY_SIZE(job_cost_rows); i++) {
		job_cost_fill(&job_cost_rows[i], snapshot, &cell);
		job_cost_line(job_cost_rows[i].name, cell.text);
	}
}
