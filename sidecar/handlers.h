/* What each route does; see routes.c for which is which. */
#pragma once

struct request;

void handle_input(struct request *req);
void handle_input_stream(struct request *req);
void handle_output(struct request *req);
void handle_output_stream(struct request *req);
void handle_variables_list(struct request *req);
void handle_variable_get(struct request *req);
void handle_variable_watch(struct request *req);
void handle_variable_put(struct request *req);
void handle_variable_delete(struct request *req);
void handle_variable_increment(struct request *req);
void handle_condition_get(struct request *req);
void handle_condition_set(struct request *req);
void handle_tool_action(struct request *req);
void handle_context(struct request *req);
void handle_healthz(struct request *req);
void handle_readyz(struct request *req);
void handle_metrics(struct request *req);
