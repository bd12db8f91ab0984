/** Any JSON value. */
export type Json =
  | null
  | boolean
  | number
  | string
  | Json[]
  | { [key: string]: Json };

export interface EventContext {
  job: string;
  execution: string;
  name: string | null;
  event: Json;
  attempt: number;
  trigger: string;
  executor: string;
  /** Milliseconds since the epoch; null without a timeout. */
  deadline_ms: number | null;
  labels: Record<string, string>;
  session: string | null;
  dry_run: boolean;
}

export interface Versioned<T> {
  value: T;
  version: string;
}

export interface SetOptions {
  /** The version it must have now; "" when it must not exist yet. */
  ifVersion?: string;
}

export interface Variable<T> {
  get(): Promise<T>;
  get<D>(fallback: D): Promise<T | D>;
  set(value: T, options?: SetOptions): Promise<string>;
  delete(): Promise<boolean>;
  increment(by?: number): Promise<number>;
}

export interface Operations {
  getInput<T = Json>(): Promise<T>;
  setOutput<T = Json>(value: T): Promise<void>;
  getVariable<T = Json>(key: string): Promise<T>;
  getVariable<T = Json, D = T>(key: string, fallback: D): Promise<T | D>;
  getVariableVersion<T = Json>(key: string): Promise<Versioned<T>>;
  /** Resolves to the new version. */
  setVariable<T = Json>(
    key: string,
    value: T,
    options?: SetOptions,
  ): Promise<string>;
  deleteVariable(key: string): Promise<boolean>;
  incrementVariable(key: string, by?: number): Promise<number>;
  listVariables(prefix?: string): Promise<string[]>;
  variable<T = Json>(key: string): Variable<T>;
  getCondition(): Promise<boolean>;
  setCondition(condition: boolean): Promise<void>;
  getEventContext(): Promise<EventContext>;
}

export interface CroniumOptions {
  url?: string;
  token?: string;
  /** For a whole call with its retries. */
  timeoutMs?: number;
}

export interface Cronium extends Operations {
  close(): void;
}
export const Cronium: new (options?: CroniumOptions) => Cronium;

export class CroniumError extends Error {
  readonly status: number;
  readonly code: string;
  readonly traceId: string;
}
export class NotInJobError extends CroniumError {}
export class AuthError extends CroniumError {}
export class ForbiddenError extends CroniumError {}
export class NotFoundError extends CroniumError {}
export class ConflictError extends CroniumError {}
export class TooLargeError extends CroniumError {}
export class InvalidError extends CroniumError {}
export class RateLimitError extends CroniumError {}
export class UnavailableError extends CroniumError {}

export const getInput: Operations["getInput"];
export const setOutput: Operations["setOutput"];
export const getVariable: Operations["getVariable"];
export const getVariableVersion: Operations["getVariableVersion"];
export const setVariable: Operations["setVariable"];
export const deleteVariable: Operations["deleteVariable"];
export const incrementVariable: Operations["incrementVariable"];
export const listVariables: Operations["listVariables"];
export const variable: Operations["variable"];
export const getCondition: Operations["getCondition"];
export const setCondition: Operations["setCondition"];
export const getEventContext: Operations["getEventContext"];

declare const cronium: Operations;
export { cronium };
export default cronium;
