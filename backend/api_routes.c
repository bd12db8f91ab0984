#include "backend/api_routes.h"

#include "backend/api.h"
#include "backend/api_handlers.h"

const struct http_route api_routes[] = {
	{ HTTP_GET, "/healthz", api_healthz, API_PUBLIC },
	{ HTTP_GET, "/readyz", api_readyz, API_PUBLIC },
	{ HTTP_GET, "/metrics", api_metrics, API_PUBLIC },

	{ HTTP_POST, "/v1/jobs", api_job_submit, API_ADMIN },
	{ HTTP_GET, "/v1/jobs", api_job_list, API_ADMIN },
	{ HTTP_GET, "/v1/jobs/{id}", api_job_get, API_ADMIN },
	{ HTTP_POST, "/v1/jobs/{id}/cancel", api_job_cancel, API_ADMIN },
	{ HTTP_GET, "/v1/jobs/{id}/input", api_job_input, API_ADMIN },
	{ HTTP_GET, "/v1/jobs/{id}/output", api_job_output, API_ADMIN },
	{ HTTP_GET, "/v1/jobs/{id}/payload", api_job_payload, API_ADMIN },
	{ HTTP_GET, "/v1/payload-key", api_payload_key, API_ADMIN },
	{ HTTP_GET, "/v1/jobs/{id}/logs", api_log_read, API_ADMIN },
	{ HTTP_GET, "/v1/jobs/{id}/streams", api_stream_get, API_ADMIN },
	{ HTTP_POST, "/v1/jobs/{id}/input/stream", api_stream_append_input,
	  API_ADMIN },
	{ HTTP_GET, "/v1/jobs/{id}/output/stream", api_stream_read_output,
	  API_ADMIN },

	{ HTTP_GET, "/v1/variables", api_variable_list, API_ADMIN },
	{ HTTP_GET, "/v1/variables/{key}", api_variable_get, API_ADMIN },
	{ HTTP_PUT, "/v1/variables/{key}", api_variable_put, API_ADMIN },
	{ HTTP_DELETE, "/v1/variables/{key}", api_variable_delete, API_ADMIN },
	{ HTTP_POST, "/v1/variables/{key}/increment", api_variable_increment,
	  API_ADMIN },

	{ HTTP_GET, "/v1/changes", api_changes, API_ADMIN },

	{ HTTP_GET, "/v1/tools", api_tool_list, API_ADMIN },
	{ HTTP_POST, "/v1/tools/check", api_tool_check, API_ADMIN },
	{ HTTP_GET, "/v1/tools/{tool}", api_tool_get, API_ADMIN },
	{ HTTP_POST, "/v1/tools/{tool}/{action}", api_tool_try, API_ADMIN },

	{ HTTP_GET, "/v1/capabilities", api_capability_list, API_ADMIN },
	{ HTTP_GET, "/v1/capabilities/{name}", api_capability_get, API_ADMIN },
	{ HTTP_POST, "/v1/capabilities/{name}", api_capability_exec,
	  API_ADMIN },
	{ HTTP_POST, "/v1/jobs/{id}/undo", api_job_undo, API_ADMIN },

	{ HTTP_GET, "/v1/audit", api_audit_list, API_ADMIN },
	{ HTTP_GET, "/v1/api-keys", api_key_list, API_ADMIN },
	{ HTTP_POST, "/v1/api-keys", api_key_create, API_ADMIN },
	{ HTTP_DELETE, "/v1/api-keys/{id}", api_key_delete, API_ADMIN },

	{ HTTP_GET, "/v1/hosts", api_host_list, API_ADMIN },
	{ HTTP_GET, "/v1/hosts/{name}", api_host_get, API_ADMIN },
	{ HTTP_PUT, "/v1/hosts/{name}", api_host_put, API_ADMIN },
	{ HTTP_DELETE, "/v1/hosts/{name}", api_host_delete, API_ADMIN },

	{ HTTP_GET, "/v1/agents", api_agent_list, API_ADMIN },
	{ HTTP_GET, "/v1/agents/{name}/claims", api_agent_claims, API_AGENT },
	{ HTTP_POST, "/v1/agents/{name}/heartbeat", api_agent_heartbeat,
	  API_AGENT },
	{ HTTP_POST, "/v1/executions/{id}/started", api_execution_started,
	  API_AGENT },
	{ HTTP_POST, "/v1/executions/{id}/logs", api_log_append, API_AGENT },
	{ HTTP_POST, "/v1/executions/{id}/release", api_execution_release,
	  API_AGENT },
	{ HTTP_POST, "/v1/executions/{id}/complete", api_execution_complete,
	  API_AGENT },

	{ HTTP_GET, "/v1/runtime/input", api_runtime_input, API_RUNTIME },
	{ HTTP_POST, "/v1/runtime/output", api_runtime_output, API_RUNTIME },
	{ HTTP_GET, "/v1/runtime/input/stream", api_stream_read_input,
	  API_RUNTIME },
	{ HTTP_POST, "/v1/runtime/output/stream", api_stream_append_output,
	  API_RUNTIME },
	{ HTTP_GET, "/v1/runtime/variables", api_variable_list, API_RUNTIME },
	{ HTTP_GET, "/v1/runtime/variables/{key}", api_variable_get,
	  API_RUNTIME },
	{ HTTP_PUT, "/v1/runtime/variables/{key}", api_variable_put,
	  API_RUNTIME },
	{ HTTP_DELETE, "/v1/runtime/variables/{key}", api_variable_delete,
	  API_RUNTIME },
	{ HTTP_POST, "/v1/runtime/variables/{key}/increment",
	  api_variable_increment, API_RUNTIME },
	{ HTTP_GET, "/v1/runtime/changes", api_changes, API_RUNTIME },
	{ HTTP_POST, "/v1/runtime/audit", api_audit_report, API_RUNTIME },
	{ HTTP_GET, "/v1/runtime/condition", api_runtime_condition_get,
	  API_RUNTIME },
	{ HTTP_POST, "/v1/runtime/condition", api_runtime_condition_set,
	  API_RUNTIME },
	{ HTTP_GET, "/v1/runtime/context", api_runtime_context, API_RUNTIME },
	{ HTTP_POST, "/v1/runtime/tool-actions/execute", api_tool_execute,
	  API_RUNTIME },
};

const size_t api_routes_n = ARRAY_SIZE(api_routes);
