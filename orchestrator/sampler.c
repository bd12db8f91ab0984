#include "orchestrator/sampler.h"

#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "common/clock.h"
#include "orchestrator/process_scan.h"
#include "orchestrator/snapshot.h"

/* The lines of the cores come first in /proc/stat: 1024 cores fit, and the
 * interrupts behind them are of no interest. */
#define SAMPLER_FILE_BYTES (64 * 1024)

enum sampler_file {
	SAMPLER_STAT,
	SAMPLER_MEMINFO,
	SAMPLER_LOADAVG,
	SAMPLER_PSI_CPU,
	SAMPLER_PSI_MEMORY,
	SAMPLER_PSI_IO,
	SAMPLER_FILES,
};

static const char *const sampler_paths[SAMPLER_FILES] = {
	[SAMPLER_STAT] = "/proc/stat",
	[SAMPLER_MEMINFO] = "/proc/meminfo",
	[SAMPLER_LOADAVG] = "/proc/loadavg",
	[SAMPLER_PSI_CPU] = "/proc/pressure/cpu",
	[SAMPLER_PSI_MEMORY] = "/proc/pressure/memory",
	[SAMPLER_PSI_IO] = "/proc/pressure/io",
};

struct sampler {
	int files[SAMPLER_FILES]; /* -1: this kernel has none */
	const char *disk_path;
	struct event *beat, *step;
	struct process_scan *scan; /* NULL: /proc cannot be listed */
	struct snapshot newest;
	struct snapshot_cpu cpu; /* when newest was taken */
	uint64_t cpu_ms;
	void (*on_sample)(void *ctx, const struct snapshot *now);
	void *ctx;
	char text[SAMPLER_FILE_BYTES];
};

/* --- reading -------------------------------------------------------------- */

/* The text is valid until the next call; NULL where there is none. */
static const char *sampler_read(struct sampler *s, enum sampler_file file)
{
	ssize_t n = s->files[file] < 0 ? -1
				       : pread(s->files[file], s->text,
					       sizeof(s->text) - 1, 0);

	if (n <= 0)
		return NULL;
	s->text[n] = '\0';
	return s->text;
}

void sampler_read_cpu(struct sampler *s, struct snapshot_cpu *out)
{
	const char *text = sampler_read(s, SAMPLER_STAT);

	if (!text || snapshot_parse_stat(text, out) < 0)
		*out = (struct snapshot_cpu){ 0 };
}

static void sampler_take_cpu(struct sampler *s, uint64_t now_ms,
			     struct snapshot *out)
{
	struct snapshot_cpu cpu;

	sampler_read_cpu(s, &cpu);
	if (s->cpu_ms) {
		out->cpu_percent = snapshot_cpu_percent(&s->cpu, &cpu);
		out->interval_ms = now_ms - s->cpu_ms;
	}
	out->cores = cpu.cores;
	s->cpu = cpu;
	s->cpu_ms = now_ms;
}

static void sampler_take_pressure(struct sampler *s, enum sampler_file file,
				  struct snapshot_pressure *out)
{
	const char *text = sampler_read(s, file);

	if (text && snapshot_parse_pressure(text, out) < 0)
		out->some = out->full = SNAPSHOT_UNKNOWN;
}

static void sampler_take_disk(struct sampler *s, struct snapshot_disk *out)
{
	struct statvfs fs;
	uint64_t block;

	out->path = s->disk_path;
	if (statvfs(s->disk_path, &fs) < 0)
		return;
	block = fs.f_frsize;
	out->total_bytes = fs.f_blocks * block;
	out->free_bytes = fs.f_bavail * block;
	out->percent = snapshot_disk_percent((fs.f_blocks - fs.f_bfree) * block,
					     out->free_bytes);
}

void sampler_sample(struct sampler *s)
{
	struct snapshot now;
	const char *text;

	snapshot_init(&now);
	now.at_ms = clock_wall_ms();
	now.processes = s->newest.processes;
	sampler_take_cpu(s, clock_mono_ms(), &now);
	text = sampler_read(s, SAMPLER_MEMINFO);
	if (text && snapshot_parse_meminfo(text, &now.memory) < 0)
		now.memory.percent = SNAPSHOT_UNKNOWN;
	text = sampler_read(s, SAMPLER_LOADAVG);
	if (text && snapshot_parse_loadavg(text, now.load) < 0)
		now.load[0] = SNAPSHOT_UNKNOWN;
	sampler_take_pressure(s, SAMPLER_PSI_CPU, &now.pressure_cpu);
	sampler_take_pressure(s, SAMPLER_PSI_MEMORY, &now.pressure_memory);
	sampler_take_pressure(s, SAMPLER_PSI_IO, &now.pressure_io);
	sampler_take_disk(s, &now.disk);
	s->newest = now;
}

/* --- timers --------------------------------------------------------------- */

static void sampler_arm(struct event *timer, uint64_t ms)
{
	const struct timeval t = clock_timeval(ms);

	evtimer_add(timer, &t);
}

static void sampler_on_beat(int fd, short what, void *ctx)
{
	struct sampler *s = ctx;

	sampler_arm(s->beat, SAMPLER_INTERVAL_MS);
	sampler_sample(s);
	if (s->on_sample)
		s->on_sample(s->ctx, &s->newest);
}

static void sampler_on_step(int fd, short what, void *ctx)
{
	struct sampler *s = ctx;
	bool first = !s->newest.processes.count, done;

	done = process_scan_step(s->scan, clock_mono_us(), s->newest.cores,
				 &s->newest.processes);
	if (!done)
		sampler_arm(s->step, SAMPLER_STEP_MS);
	else
		sampler_arm(s->step,
			    first ? SAMPLER_FIRST_SCAN_MS : SAMPLER_SCAN_MS);
}

/* --- life ----------------------------------------------------------------- */

static int sampler_init(struct sampler *s, struct event_base *base)
{
	for (size_t i = 0; i < SAMPLER_FILES; i++)
		s->files[i] = open(sampler_paths[i], O_RDONLY | O_CLOEXEC);
	s->beat = evtimer_new(base, sampler_on_beat, s);
	s->step = evtimer_new(base, sampler_on_step, s);
	if (!s->beat || !s->step || process_scan_new(&s->scan) == -ENOMEM)
		return -ENOMEM;
	sampler_sample(s);
	sampler_arm(s->beat, SAMPLER_FIRST_MS);
	if (s->scan)
		sampler_arm(s->step, 0);
	return 0;
}

int sampler_new(struct sampler **out, struct event_base *base,
		const char *disk_path)
{
	_cleanup_(sampler_freep) struct sampler *s = calloc(1, sizeof(*s));
	int r;

	*out = NULL;
	if (!s)
		return -ENOMEM;
	for (size_t i = 0; i < SAMPLER_FILES; i++)
		s->files[i] = -1;
	snapshot_init(&s->newest);
	s->disk_path = disk_path;
	r = sampler_init(s, base);
	if (r < 0)
		return r;
	*out = s;
	s = NULL;
	return 0;
}

void sampler_free(struct sampler *s)
{
	if (!s)
		return;
	if (s->beat)
		event_free(s->beat);
	if (s->step)
		event_free(s->step);
	for (size_t i = 0; i < SAMPLER_FILES; i++)
		closep(&s->files[i]);
	process_scan_free(s->scan);
	free(s);
}

void sampler_on_sample(struct sampler *s,
		       void (*on_sample)(void *ctx, const struct snapshot *now),
		       void *ctx)
{
	s->on_sample = on_sample;
	s->ctx = ctx;
}

const struct snapshot *sampler_newest(const struct sampler *s)
{
	return &s->newest;
}
