#include "orchestrator/snapshot.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

/* user nice system idle iowait irq softirq steal; guest is in user */
#define SNAPSHOT_STAT_FIELDS 8
#define SNAPSHOT_STAT_IDLE 3
#define SNAPSHOT_STAT_IOWAIT 4

void snapshot_init(struct snapshot *s)
{
	static const struct snapshot_pressure none = { SNAPSHOT_UNKNOWN,
						       SNAPSHOT_UNKNOWN };

	*s = (struct snapshot){
		.cpu_percent = SNAPSHOT_UNKNOWN,
		.load = { SNAPSHOT_UNKNOWN, SNAPSHOT_UNKNOWN,
			  SNAPSHOT_UNKNOWN },
		.memory.percent = SNAPSHOT_UNKNOWN,
		.pressure_cpu = none,
		.pressure_memory = none,
		.pressure_io = none,
		.disk.percent = SNAPSHOT_UNKNOWN,
	};
}

/* --- /proc/stat ----------------------------------------------------------- */

/* A decimal number after blanks; *at is moved behind it. */
static int snapshot_take_uint(const char **at, uint64_t *out)
{
	const char *p = *at + strspn(*at, " \t");
	char *end;

	if (!isdigit((unsigned char)*p))
		return -EINVAL;
	errno = 0;
	*out = strtoull(p, &end, 10);
	if (errno)
		return -EINVAL;
	*at = end;
	return 0;
}

static const char *snapshot_next_line(const char *line)
{
	const char *end = strchr(line, '\n');

	return end ? end + 1 : NULL;
}

static uint32_t snapshot_count_cores(const char *text)
{
	uint32_t n = 0;

	for (const char *line = text; line; line = snapshot_next_line(line))
		n += !strncmp(line, "cpu", 3) &&
		     isdigit((unsigned char)line[3]);
	return n;
}

int snapshot_parse_stat(const char *text, struct snapshot_cpu *out)
{
	struct snapshot_cpu cpu = { 0 };
	const char *at = text + 4;
	uint64_t n;

	if (strncmp(text, "cpu ", 4) != 0)
		return -EINVAL;
	for (size_t i = 0; i < SNAPSHOT_STAT_FIELDS; i++) {
		/* Kernels before 2.6.11 have no steal; none before 2.6
		 * lives. */
		if (snapshot_take_uint(&at, &n) < 0)
			return -EINVAL;
		cpu.total += n;
		if (i != SNAPSHOT_STAT_IDLE && i != SNAPSHOT_STAT_IOWAIT)
			cpu.busy += n;
	}
	cpu.cores = snapshot_count_cores(text);
	if (!cpu.cores)
		return -EINVAL;
	*out = cpu;
	return 0;
}

double snapshot_cpu_percent(const struct snapshot_cpu *before,
			    const struct snapshot_cpu *after)
{
	double busy, total;

	/* A core that is taken away takes its ticks along. */
	if (after->total <= before->total)
		return SNAPSHOT_UNKNOWN;
	total = (double)(after->total - before->total);
	busy = after->busy > before->busy ? (double)(after->busy - before->busy)
					  : 0;
	return MIN(busy / total, 1.0) * 100;
}

/* --- /proc/meminfo -------------------------------------------------------- */

/* "Name:   123 kB" in bytes; false where there is no such line. */
static bool snapshot_meminfo_get(const char *text, const char *name,
				 uint64_t *out)
{
	size_t len = strlen(name);

	for (const char *line = text; line; line = snapshot_next_line(line)) {
		const char *at = line + len + 1;
		uint64_t kb;

		if (strncmp(line, name, len) != 0 || line[len] != ':')
			continue;
		if (snapshot_take_uint(&at, &kb) < 0 || kb > UINT64_MAX / 1024)
			return false;
		*out = kb * 1024;
		return true;
	}
	return false;
}

/* Before Linux 3.14 the kernel does not say what is available. */
static int snapshot_meminfo_guess(const char *text, uint64_t *available)
{
	uint64_t free_bytes, buffers = 0, cached = 0;

	if (!snapshot_meminfo_get(text, "MemFree", &free_bytes))
		return -EINVAL;
	(void)snapshot_meminfo_get(text, "Buffers", &buffers);
	(void)snapshot_meminfo_get(text, "Cached", &cached);
	if (__builtin_add_overflow(free_bytes, buffers, available) ||
	    __builtin_add_overflow(*available, cached, available))
		return -EINVAL;
	return 0;
}

int snapshot_parse_meminfo(const char *text, struct snapshot_memory *out)
{
	uint64_t total, available;

	if (!snapshot_meminfo_get(text, "MemTotal", &total) || !total)
		return -EINVAL;
	if (!snapshot_meminfo_get(text, "MemAvailable", &available) &&
	    snapshot_meminfo_guess(text, &available) < 0)
		return -EINVAL;
	available = MIN(available, total);
	*out = (struct snapshot_memory){
		.total_bytes = total,
		.available_bytes = available,
		.percent = (double)(total - available) / (double)total * 100,
	};
	return 0;
}

/* --- /proc/loadavg, /proc/pressure ---------------------------------------- */

/* "12.34": the kernel writes no other form, whatever the locale. */
static int snapshot_take_decimal(const char **at, double *out)
{
	uint64_t whole, fraction;
	double scale = 1;

	if (snapshot_take_uint(at, &whole) < 0)
		return -EINVAL;
	*out = (double)whole;
	if (**at != '.')
		return 0;
	++*at;
	for (const char *p = *at; isdigit((unsigned char)*p); p++)
		scale *= 10;
	if (!isdigit((unsigned char)**at) ||
	    snapshot_take_uint(at, &fraction) < 0)
		return -EINVAL;
	*out += (double)fraction / scale;
	return 0;
}

int snapshot_parse_loadavg(const char *text, double out[3])
{
	double load[3];

	for (size_t i = 0; i < 3; i++)
		if (snapshot_take_decimal(&text, &load[i]) < 0)
			return -EINVAL;
	memcpy(out, load, sizeof(load));
	return 0;
}

static int snapshot_pressure_get(const char *text, const char *kind,
				 double *out)
{
	size_t len = strlen(kind);

	for (const char *line = text; line; line = snapshot_next_line(line)) {
		const char *at;

		if (strncmp(line, kind, len) != 0)
			continue;
		at = line + len;
		return snapshot_take_decimal(&at, out);
	}
	return -EINVAL;
}

int snapshot_parse_pressure(const char *text, struct snapshot_pressure *out)
{
	struct snapshot_pressure p = { .full = SNAPSHOT_UNKNOWN };

	if (snapshot_pressure_get(text, "some avg10=", &p.some) < 0)
		return -EINVAL;
	/* Of the CPU there is none before Linux 5.13. */
	if (snapshot_pressure_get(text, "full avg10=", &p.full) < 0)
		p.full = SNAPSHOT_UNKNOWN;
	*out = p;
	return 0;
}

/* --- figures -------------------------------------------------------------- */

double snapshot_disk_percent(uint64_t used, uint64_t available)
{
	double all = (double)used + (double)available;

	return all > 0 ? (double)used / all * 100 : SNAPSHOT_UNKNOWN;
}

double snapshot_zombies_percent(const struct snapshot_processes *p)
{
	return p->count ? (double)p->zombies / p->count * 100
			: SNAPSHOT_UNKNOWN;
}

/* --- JSON ----------------------------------------------------------------- */

/* In sixteenths, which JSON has exactly in four digits: more would be noise. */
static json_t *snapshot_real(double value)
{
	if (value < 0)
		return json_null();
	return json_real((double)(int64_t)(value * 16 + 0.5) / 16);
}

static json_t *snapshot_pressure_json(const struct snapshot *s)
{
	if (s->pressure_cpu.some < 0 && s->pressure_memory.some < 0 &&
	    s->pressure_io.some < 0)
		return json_null();
	return json_pack("{s:{s:o},s:{s:o,s:o},s:{s:o,s:o}}", "cpu", "some",
			 snapshot_real(s->pressure_cpu.some), "memory", "some",
			 snapshot_real(s->pressure_memory.some), "full",
			 snapshot_real(s->pressure_memory.full), "io", "some",
			 snapshot_real(s->pressure_io.some), "full",
			 snapshot_real(s->pressure_io.full));
}

static json_t *snapshot_top_json(const struct snapshot_processes *p)
{
	json_t *top = json_array();

	for (size_t i = 0; i < p->n_top; i++) {
		const struct snapshot_process *x = &p->top[i];

		if (json_array_append_new(
			    top, json_pack("{s:i,s:s,s:o,s:I}", "pid", x->pid,
					   "name", x->name, "cpu_percent",
					   snapshot_real(x->cpu_percent),
					   "memory_bytes",
					   (json_int_t)x->memory_bytes))) {
			json_decref(top);
			return NULL;
		}
	}
	return top;
}

json_t *snapshot_json(const struct snapshot *s)
{
	const struct snapshot_memory *m = &s->memory;
	const struct snapshot_disk *d = &s->disk;

	return json_pack("{s:I,s:I,s:i,s:o,s:[o,o,o],s:{s:I,s:I,s:o},s:o,"
			 "s:{s:s?,s:I,s:I,s:o},s:{s:i,s:i,s:o}}",
			 "at_ms", (json_int_t)s->at_ms, "interval_ms",
			 (json_int_t)s->interval_ms, "cores", (int)s->cores,
			 "cpu_percent", snapshot_real(s->cpu_percent), "load",
			 snapshot_real(s->load[0]), snapshot_real(s->load[1]),
			 snapshot_real(s->load[2]), "memory", "total_bytes",
			 (json_int_t)m->total_bytes, "available_bytes",
			 (json_int_t)m->available_bytes, "percent",
			 snapshot_real(m->percent), "pressure",
			 snapshot_pressure_json(s), "disk", "path", d->path,
			 "total_bytes", (json_int_t)d->total_bytes,
			 "free_bytes", (json_int_t)d->free_bytes, "percent",
			 snapshot_real(d->percent), "processes", "count",
			 (int)s->processes.count, "zombies",
			 (int)s->processes.zombies, "top",
			 snapshot_top_json(&s->processes));
}
