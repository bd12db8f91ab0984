#include "orchestrator/log_source.h"

#include <string.h>

#include "common/redact.h"

int log_source_init(struct log_source *s, struct redactor *redactor)
{
	int r = 0;

	*s = (struct log_source){ 0 };
	for (size_t i = 0; !r && i < LOG_MASKED_STREAMS; i++)
		r = redact_stream_new(&s->streams[i], redactor);
	return r;
}

void log_source_deinit(struct log_source *s)
{
	for (size_t i = 0; i < LOG_MASKED_STREAMS; i++)
		redact_stream_free(s->streams[i]);
	buf_deinit(&s->masked);
}

void log_source_resume(struct log_source *s, const struct log_position *begin,
		       const struct log_position *log)
{
	memcpy(s->fed, begin->raw, sizeof(s->fed));
	for (size_t i = 0; i < LOG_STREAMS; i++)
		s->again[i] = log->raw[i] - begin->raw[i];
	for (size_t i = 0; i < LOG_MASKED_STREAMS; i++)
		redact_stream_restore(s->streams[i], log->masks[i]);
}

size_t log_source_count(struct log_source *s, enum log_stream stream,
			size_t len)
{
	size_t again = (size_t)MIN(len, s->again[stream]);

	s->fed[stream] += len;
	s->again[stream] -= again;
	return again;
}

int log_source_feed(struct log_source *s, enum log_stream stream,
		    const void *data, size_t len)
{
	return redact_stream_feed(s->streams[stream], data, len, &s->masked);
}

int log_source_flush(struct log_source *s, enum log_stream stream)
{
	return redact_stream_flush(s->streams[stream], &s->masked);
}

struct log_mark log_source_mark(const struct log_source *s,
				enum log_stream stream)
{
	struct log_mark mark = { .stream = stream, .raw = s->fed[stream] };

	if (stream < LOG_MASKED_STREAMS) {
		mark.raw -= redact_stream_held(s->streams[stream]);
		mark.mask = redact_stream_state(s->streams[stream]);
	}
	return mark;
}
