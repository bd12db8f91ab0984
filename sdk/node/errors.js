"use strict";

/**
 * What the runtime answered, or why it could not be asked.
 *
 * `status` is the HTTP status (0 without an answer), `code` a short stable
 * word such as "not_found", `traceId` finds the request in the logs, `problem`
 * is all that the runtime said.
 */
class CroniumError extends Error {
  constructor(
    detail,
    { status = 0, code = "", traceId = "", problem = {}, cause } = {},
  ) {
    super(detail, cause === undefined ? undefined : { cause });
    this.name = this.constructor.name;
    this.status = status;
    this.code = code;
    this.traceId = traceId;
    this.problem = problem;
  }
}

/** The script does not run under Cronium. */
class NotInJobError extends CroniumError {}
/** 401: the execution token is missing, expired or revoked. */
class AuthError extends CroniumError {}
/** 403: the token does not allow this operation or this variable. */
class ForbiddenError extends CroniumError {}
/** 404: there is no such value. */
class NotFoundError extends CroniumError {}
/** 412: the variable has changed since the version that was given. */
class ConflictError extends CroniumError {}
/** 413: the value is over the limit; nothing was stored. */
class TooLargeError extends CroniumError {}
/** 400, 409 or another 4xx: the request makes no sense to the runtime. */
class InvalidError extends CroniumError {}
/** 429: too many calls. */
class RateLimitError extends CroniumError {}
/** 5xx, or no answer until the deadline: a write may not be stored. */
class UnavailableError extends CroniumError {}
/** 424: the action failed; 409 outcome_unknown: nobody knows. */
class ToolError extends CroniumError {}
/** 409 stream_broken: the job that writes the stream failed. */
class StreamBrokenError extends CroniumError {}

const BY_STATUS = {
  401: AuthError,
  403: ForbiddenError,
  404: NotFoundError,
  412: ConflictError,
  413: TooLargeError,
  424: ToolError,
  429: RateLimitError,
};
const BY_CODE = {
  outcome_unknown: ToolError,
  stream_broken: StreamBrokenError,
};

/** The error for a reply; `problem` is its problem document. */
function fromReply(status, problem) {
  const other = status < 500 ? InvalidError : UnavailableError;
  const Kind = BY_CODE[problem.code] ?? BY_STATUS[status] ?? other;
  const detail =
    problem.detail ?? problem.title ?? `the runtime answered ${status}`;
  return new Kind(detail, {
    status,
    code: problem.code,
    traceId: problem.trace_id,
    problem,
  });
}

module.exports = {
  CroniumError,
  NotInJobError,
  AuthError,
  ForbiddenError,
  NotFoundError,
  ConflictError,
  TooLargeError,
  InvalidError,
  RateLimitError,
  UnavailableError,
  ToolError,
  StreamBrokenError,
  fromReply,
};
