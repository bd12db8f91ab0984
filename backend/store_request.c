/* What each operation asks for: how its request is copied and looked into. */
#include <string.h>

#include "backend/store_admin.h"
#include "backend/store_agent.h"
#include "backend/store_call.h"
#include "backend/store_host.h"
#include "backend/store_job.h"
#include "backend/store_log.h"
#include "backend/store_no_wait.h"
#include "backend/store_queue.h"
#include "backend/store_runtime.h"
#include "backend/store_session.h"
#include "backend/store_stream.h"
#include "backend/store_tool.h"
#include "backend/store_variable.h"

/* What of a request has to be copied deeply. */
enum field_type {
	FIELD_END,
	FIELD_STR,
	FIELD_BLOB,
	FIELD_AUDIT,
	FIELD_WRITER,
	FIELD_LEASES, /* of struct store_heartbeat */
	FIELD_CHUNKS, /* of struct store_log_append */
};

#define STORE_FIELDS_MAX 20

struct field {
	enum field_type type;
	size_t offset;
};

struct op_info {
	bool writes;
	bool secret; /* values of variables pass through it */
	size_t size; /* of the request */
	struct field fields[STORE_FIELDS_MAX];
};

/* clang-format off */
#define STR(type, name) { FIELD_STR, offsetof(struct type, name) }
#define BLOB(type, name) { FIELD_BLOB, offsetof(struct type, name) }
#define AUDIT(type) { FIELD_AUDIT, offsetof(struct type, audit) }
#define WRITER(type) { FIELD_WRITER, offsetof(struct type, writer) }
#define SIZE(type) .size = sizeof(struct type)

static const struct op_info op_infos[STORE_OPS] = {
	[STORE_OP_JOB_SUBMIT] = {
		.writes = true, SIZE(store_job_new),
		.fields = {
			STR(store_job_new, id),
			STR(store_job_new, idempotency_key),
			STR(store_job_new, name), STR(store_job_new, runtime),
			STR(store_job_new, executor),
			STR(store_job_new, want_agent),
			STR(store_job_new, parent),
			STR(store_job_new, input_from),
			STR(store_job_new, trace_id),
			STR(store_job_new, signature),
			STR(store_job_new, host), STR(store_job_new, session),
			STR(store_job_new, want_labels),
			BLOB(store_job_new, spec),
			BLOB(store_job_new, script),
			BLOB(store_job_new, input),
			BLOB(store_job_new, labels), AUDIT(store_job_new),
		},
	},
	[STORE_OP_JOB_GET] = {
		SIZE(store_request_id),
		.fields = { STR(store_request_id, id) },
	},
	[STORE_OP_JOB_LIST] = {
		SIZE(store_job_query),
		.fields = {
			STR(store_job_query, session),
			STR(store_job_query, before),
		},
	},
	[STORE_OP_JOB_COUNT] = { .writes = false },
	[STORE_OP_JOB_READ] = {
		SIZE(store_request_payload),
		.fields = { STR(store_request_payload, job) },
	},
	[STORE_OP_JOB_CANCEL] = {
		.writes = true, SIZE(store_job_cancel),
		.fields = {
			STR(store_job_cancel, job),
			STR(store_job_cancel, reason),
			AUDIT(store_job_cancel),
		},
	},
	[STORE_OP_JOB_FAIL] = {
		.writes = true, SIZE(store_job_fail),
		.fields = {
			STR(store_job_fail, job), STR(store_job_fail, reason),
		},
	},
	[STORE_OP_JOB_NO_WAIT] = { .writes = false },
	[STORE_OP_JOB_CANCEL_ORPHANS] = { .writes = true },
	[STORE_OP_QUEUE_CLAIM] = {
		.writes = true, SIZE(store_claim),
		.fields = {
			STR(store_claim, execution), STR(store_claim, agent),
			STR(store_claim, executors), STR(store_claim, labels),
		},
	},
	[STORE_OP_QUEUE_GIVE_BACK] = {
		.writes = true, SIZE(store_give_back),
		.fields = { STR(store_give_back, lease.execution) },
	},
	[STORE_OP_QUEUE_STARTED] = {
		.writes = true, SIZE(store_started),
		.fields = {
			STR(store_started, lease.execution),
			STR(store_started, pod), STR(store_started, executor),
		},
	},
	[STORE_OP_QUEUE_HEARTBEAT] = {
		.writes = true, SIZE(store_heartbeat),
		.fields = {
			STR(store_heartbeat, agent), { FIELD_LEASES, 0 },
			STR(store_heartbeat, status.code),
			STR(store_heartbeat, status.problem),
			BLOB(store_heartbeat, status.snapshot),
			BLOB(store_heartbeat, status.pods),
		},
	},
	[STORE_OP_QUEUE_COMPLETE] = {
		.writes = true, SIZE(store_complete),
		.fields = {
			STR(store_complete, lease.execution),
			STR(store_complete, reason),
			BLOB(store_complete, telemetry), AUDIT(store_complete),
		},
	},
	[STORE_OP_QUEUE_EXPIRE] = {
		.writes = true, SIZE(store_request_ms),
	},
	[STORE_OP_QUEUE_DUE] = {
		.writes = true, SIZE(store_request_ms),
	},
	[STORE_OP_QUEUE_GRACE] = {
		.writes = true, SIZE(store_request_ms),
	},
	[STORE_OP_QUEUE_RECOVER] = {
		.writes = true, SIZE(store_heartbeat),
		.fields = {
			STR(store_heartbeat, agent), { FIELD_LEASES, 0 },
			STR(store_heartbeat, status.code),
			STR(store_heartbeat, status.problem),
			BLOB(store_heartbeat, status.snapshot),
			BLOB(store_heartbeat, status.pods),
		},
	},
	[STORE_OP_LOG_APPEND] = {
		.writes = true, SIZE(store_log_append),
		.fields = {
			STR(store_log_append, lease.execution),
			STR(store_log_append, limit_notice),
			{ FIELD_CHUNKS, 0 },
		},
	},
	[STORE_OP_LOG_READ] = {
		SIZE(store_log_query),
		.fields = { STR(store_log_query, job) },
	},
	[STORE_OP_STREAM_APPEND] = {
		.writes = true, SIZE(store_stream_append),
		.fields = {
			STR(store_stream_append, job),
			WRITER(store_stream_append),
			BLOB(store_stream_append, records),
			AUDIT(store_stream_append),
		},
	},
	[STORE_OP_STREAM_READ] = {
		SIZE(store_stream_query),
		.fields = { STR(store_stream_query, job) },
	},
	[STORE_OP_STREAM_GET] = {
		SIZE(store_request_id),
		.fields = { STR(store_request_id, id) },
	},
	[STORE_OP_STREAM_SWEEP] = { .writes = true },
	[STORE_OP_VARIABLE_GET] = {
		.secret = true, SIZE(store_request_id),
		.fields = { STR(store_request_id, id) },
	},
	[STORE_OP_VARIABLE_LIST] = {
		SIZE(store_variable_query),
		.fields = {
			STR(store_variable_query, prefix),
			STR(store_variable_query, after),
		},
	},
	[STORE_OP_VARIABLE_PUT] = {
		.writes = true, .secret = true, SIZE(store_variable_put),
		.fields = {
			STR(store_variable_put, key),
			BLOB(store_variable_put, value),
			WRITER(store_variable_put), AUDIT(store_variable_put),
		},
	},
	[STORE_OP_VARIABLE_DELETE] = {
		.writes = true, SIZE(store_variable_delete),
		.fields = {
			STR(store_variable_delete, key),
			WRITER(store_variable_delete),
			AUDIT(store_variable_delete),
		},
	},
	[STORE_OP_VARIABLE_INCREMENT] = {
		.writes = true, .secret = true, SIZE(store_variable_increment),
		.fields = {
			STR(store_variable_increment, key),
			STR(store_variable_increment, by),
			WRITER(store_variable_increment),
			AUDIT(store_variable_increment),
		},
	},
	[STORE_OP_CHANGE_LIST] = {
		.secret = true, SIZE(store_change_query),
		.fields = { STR(store_change_query, key) },
	},
	[STORE_OP_EXECUTION_GET] = {
		SIZE(store_request_id),
		.fields = { STR(store_request_id, id) },
	},
	[STORE_OP_OUTPUT_SET] = {
		.writes = true, SIZE(store_output_set),
		.fields = {
			BLOB(store_output_set, value),
			WRITER(store_output_set), AUDIT(store_output_set),
		},
	},
	[STORE_OP_CONDITION_SET] = {
		.writes = true, SIZE(store_condition_set),
		.fields = {
			WRITER(store_condition_set),
			AUDIT(store_condition_set),
		},
	},
	[STORE_OP_CONDITION_GET] = {
		SIZE(store_request_id),
		.fields = { STR(store_request_id, id) },
	},
	[STORE_OP_TOOL_BEGIN] = {
		.writes = true, .secret = true, SIZE(store_tool_begin),
		.fields = {
			STR(store_tool_begin, execution),
			STR(store_tool_begin, idempotency_key),
			BLOB(store_tool_begin, request),
			AUDIT(store_tool_begin),
		},
	},
	[STORE_OP_TOOL_FINISH] = {
		.writes = true, .secret = true, SIZE(store_tool_finish),
		.fields = {
			STR(store_tool_finish, execution),
			STR(store_tool_finish, idempotency_key),
			BLOB(store_tool_finish, reply),
			AUDIT(store_tool_finish),
		},
	},
	[STORE_OP_SESSION_NEW] = {
		.writes = true, SIZE(store_session_new),
		.fields = {
			STR(store_session_new, id),
			STR(store_session_new, name), AUDIT(store_session_new),
		},
	},
	[STORE_OP_SESSION_SET] = {
		.writes = true, SIZE(store_session_set),
		.fields = {
			STR(store_session_set, session),
			STR(store_session_set, reason),
			AUDIT(store_session_set),
		},
	},
	[STORE_OP_SESSION_GET] = {
		SIZE(store_request_id),
		.fields = { STR(store_request_id, id) },
	},
	[STORE_OP_SESSION_LIST] = {
		SIZE(store_session_query),
		.fields = { STR(store_session_query, before) },
	},
	[STORE_OP_HOST_PUT] = {
		.writes = true, SIZE(store_host_put),
		.fields = {
			STR(store_host_put, host.name),
			STR(store_host_put, host.user),
			STR(store_host_put, host.address),
			STR(store_host_put, host.host_key),
			STR(store_host_put, host.mode), AUDIT(store_host_put),
		},
	},
	[STORE_OP_HOST_DELETE] = {
		.writes = true, SIZE(store_host_delete),
		.fields = {
			STR(store_host_delete, name), AUDIT(store_host_delete),
		},
	},
	[STORE_OP_HOST_GET] = {
		SIZE(store_request_id),
		.fields = { STR(store_request_id, id) },
	},
	[STORE_OP_HOST_LIST] = { .writes = false },
	[STORE_OP_AGENT_CONNECT] = {
		.writes = true, SIZE(store_agent_connect),
		.fields = {
			STR(store_agent_connect, name),
			STR(store_agent_connect, executors),
			STR(store_agent_connect, address),
			STR(store_agent_connect, labels),
			STR(store_agent_connect, backend),
		},
	},
	[STORE_OP_AGENT_DISCONNECT] = {
		.writes = true, SIZE(store_agent_disconnect),
		.fields = {
			STR(store_agent_disconnect, name),
			STR(store_agent_disconnect, backend),
		},
	},
	[STORE_OP_AGENT_DRAIN] = {
		.writes = true, SIZE(store_agent_drain),
		.fields = {
			STR(store_agent_drain, name), AUDIT(store_agent_drain),
		},
	},
	[STORE_OP_AGENT_FORGET] = {
		.writes = true, SIZE(store_agent_forget),
		.fields = {
			STR(store_agent_forget, name),
			AUDIT(store_agent_forget),
		},
	},
	[STORE_OP_AGENT_GET] = {
		SIZE(store_request_id),
		.fields = { STR(store_request_id, id) },
	},
	[STORE_OP_AGENT_LIST] = { .writes = false },
	[STORE_OP_AUDIT_APPEND] = {
		.writes = true, SIZE(store_request_audit),
		.fields = { AUDIT(store_request_audit) },
	},
	[STORE_OP_AUDIT_LIST] = {
		SIZE(store_audit_query),
		.fields = {
			STR(store_audit_query, execution),
			STR(store_audit_query, job),
		},
	},
	[STORE_OP_API_KEY_ADD] = {
		.writes = true, SIZE(store_api_key_new),
		.fields = {
			STR(store_api_key_new, key.id),
			STR(store_api_key_new, key.name),
			AUDIT(store_api_key_new),
		},
	},
	[STORE_OP_API_KEY_DELETE] = {
		.writes = true, SIZE(store_api_key_delete),
		.fields = {
			STR(store_api_key_delete, id),
			AUDIT(store_api_key_delete),
		},
	},
	[STORE_OP_API_KEY_TOUCH] = {
		.writes = true, SIZE(store_request_id),
		.fields = { STR(store_request_id, id) },
	},
	[STORE_OP_API_KEY_LIST] = { .writes = false },
};
/* clang-format on */

#undef STR
#undef BLOB
#undef AUDIT
#undef WRITER
#undef SIZE

static void copy_str(struct store_call *call, const char **s)
{
	if (!*s)
		return;
	call->bytes += strlen(*s);
	*s = arena_strdup(&call->arena, *s);
}

static void copy_blob(struct store_call *call, struct store_blob *b)
{
	call->bytes += b->len;
	b->data = arena_dup(&call->arena, b->data, b->len);
}

static void copy_audit(struct store_call *call, struct store_audit *a)
{
	copy_str(call, &a->who);
	copy_str(call, &a->action);
	copy_str(call, &a->target);
	copy_str(call, &a->result);
	copy_str(call, &a->job);
	copy_str(call, &a->execution);
	copy_str(call, &a->trace_id);
}

static void copy_leases(struct store_call *call, struct store_heartbeat *h)
{
	struct store_lease *leases = arena_alloc(&call->arena,
						 h->n * sizeof(*leases));

	for (size_t i = 0; leases && i < h->n; i++) {
		leases[i] = h->leases[i];
		copy_str(call, &leases[i].execution);
	}
	h->leases = leases;
}

static void copy_chunks(struct store_call *call, struct store_log_append *a)
{
	struct store_log_chunk *chunks = arena_alloc(&call->arena,
						     a->n * sizeof(*chunks));

	for (size_t i = 0; chunks && i < a->n; i++) {
		chunks[i] = a->chunks[i];
		copy_blob(call, &chunks[i].data);
	}
	a->chunks = chunks;
}

static void copy_field(struct store_call *call, const struct field *f,
		       void *request)
{
	void *p = (char *)request + f->offset;
	struct store_writer *w = p;

	switch (f->type) {
	case FIELD_STR:
		copy_str(call, p);
		break;
	case FIELD_BLOB:
		copy_blob(call, p);
		break;
	case FIELD_AUDIT:
		copy_audit(call, p);
		break;
	case FIELD_WRITER:
		copy_str(call, &w->execution);
		copy_str(call, &w->idempotency_key);
		break;
	case FIELD_LEASES:
		copy_leases(call, request);
		break;
	case FIELD_CHUNKS:
		copy_chunks(call, request);
		break;
	case FIELD_END:
		break;
	}
}

void store_call_copy_request(struct store_call *call, const void *request)
{
	const struct op_info *info = &op_infos[call->op];
	void *copy = arena_alloc(&call->arena, info->size);

	if (!copy)
		return;
	if (info->size)
		memcpy(copy, request, info->size);
	call->bytes = sizeof(*call) + info->size;
	for (size_t i = 0; i < STORE_FIELDS_MAX && info->fields[i].type; i++)
		copy_field(call, &info->fields[i], copy);
	call->request = copy;
}

bool store_op_is_secret(enum store_op op)
{
	return op_infos[op].secret;
}

bool store_op_writes(enum store_op op)
{
	return op_infos[op].writes;
}

const struct store_audit *store_call_audit(const struct store_call *call)
{
	const struct field *f = op_infos[call->op].fields;

	for (size_t i = 0; i < STORE_FIELDS_MAX && f[i].type; i++) {
		const void *p = (const char *)call->request + f[i].offset;
		const struct store_audit *audit = p;

		if (f[i].type == FIELD_AUDIT)
			return audit->action ? audit : NULL;
	}
	return NULL;
}
