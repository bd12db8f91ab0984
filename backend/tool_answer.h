/* Answers a call of the API with what came of a tool action. */
#pragma once

struct api_call;
struct tool_reply;
struct tool_violations;

/* Also when to come again, where the reply is that there is too much to do. */
void tool_answer(struct api_call *call, const struct tool_reply *reply);
/* 422 invalid_params with all of them; target: "slack/send-message". */
void tool_answer_violations(struct api_call *call, const char *target,
			    const struct tool_violations *v);
/* The same with another code than invalid_params. */
void tool_answer_invalid(struct api_call *call, const char *code,
			 const char *target, const struct tool_violations *v);
