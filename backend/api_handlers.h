/* The handlers of the routes in api_routes.c, by file. */
#pragma once

#include "common/http/router.h"

#define API_HANDLER(name)                                                     \
	void name(struct http_exchange *ex, const struct http_params *params, \
		  void *ctx)

/* api_jobs.c */
API_HANDLER(api_job_submit);
API_HANDLER(api_job_list);
API_HANDLER(api_job_get);
API_HANDLER(api_job_cancel);
API_HANDLER(api_job_input);
API_HANDLER(api_job_output);

/* api_payload.c */
API_HANDLER(api_job_payload);
API_HANDLER(api_payload_key);

/* api_hosts.c */
API_HANDLER(api_host_list);
API_HANDLER(api_host_get);
API_HANDLER(api_host_put);
API_HANDLER(api_host_delete);

/* api_sessions.c */
API_HANDLER(api_session_list);
API_HANDLER(api_session_get);
API_HANDLER(api_session_create);
API_HANDLER(api_session_pause);
API_HANDLER(api_session_resume);
API_HANDLER(api_session_end);

/* api_logs.c */
API_HANDLER(api_log_read);
API_HANDLER(api_log_append);

/* api_streams.c */
API_HANDLER(api_stream_get);
API_HANDLER(api_stream_append_input);
API_HANDLER(api_stream_append_output);
API_HANDLER(api_stream_read_input);
API_HANDLER(api_stream_read_output);

/* api_variables.c, api_variable_write.c: for administrators and executions */
API_HANDLER(api_variable_list);
API_HANDLER(api_variable_get);
API_HANDLER(api_variable_put);
API_HANDLER(api_variable_delete);
API_HANDLER(api_variable_increment);

/* api_changes.c */
API_HANDLER(api_changes);
API_HANDLER(api_audit_report);

/* api_runtime.c */
API_HANDLER(api_runtime_input);
API_HANDLER(api_runtime_output);
API_HANDLER(api_runtime_condition_get);
API_HANDLER(api_runtime_condition_set);
API_HANDLER(api_runtime_context);

/* api_tools.c */
API_HANDLER(api_tool_list);
API_HANDLER(api_tool_get);
API_HANDLER(api_tool_check);

/* api_tool_call.c */
API_HANDLER(api_tool_try);
API_HANDLER(api_tool_execute);

/* api_capabilities.c */
API_HANDLER(api_capability_list);
API_HANDLER(api_capability_get);
API_HANDLER(api_capability_exec);
API_HANDLER(api_job_undo);

/* api_agents.c */
API_HANDLER(api_agent_claims);
API_HANDLER(api_agent_heartbeat);
API_HANDLER(api_agent_recover);
API_HANDLER(api_execution_started);
API_HANDLER(api_execution_release);
API_HANDLER(api_execution_complete);

/* api_fleet.c */
API_HANDLER(api_agent_list);
API_HANDLER(api_agent_get);
API_HANDLER(api_agent_drain);
API_HANDLER(api_agent_undrain);
API_HANDLER(api_agent_forget);
API_HANDLER(api_pod_list);

/* api_admin.c */
API_HANDLER(api_audit_list);
API_HANDLER(api_key_list);
API_HANDLER(api_key_create);
API_HANDLER(api_key_delete);
API_HANDLER(api_healthz);
API_HANDLER(api_readyz);
API_HANDLER(api_metrics);
