import cronium from "./index.js";

export default cronium;
export { cronium };
export const {
  getInput,
  setOutput,
  getVariable,
  getVariableVersion,
  setVariable,
  deleteVariable,
  incrementVariable,
  listVariables,
  variable,
  getCondition,
  setCondition,
  getEventContext,
  Cronium,
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
} = cronium;
