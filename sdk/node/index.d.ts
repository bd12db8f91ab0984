import type { Readable, Writable } from "node:stream";
import type { ReadableStream, WritableStream } from "node:stream/web";

/** Any JSON value. */
export type Json =
  | null
  | boolean
  | number
  | string
  | Json[]
  | { [key: string]: Json };

/** What caused the job; see {@link Operations.getEventContext}. */
export interface EventContext {
  /** The job's id, `job_…`. */
  job: string;
  /** The id of this attempt at it, `ex_…`. */
  execution: string;
  name: string | null;
  /** What happened, as whoever submitted the job says. */
  event: Json;
  /** 1, 2, … */
  attempt: number;
  trigger: string;
  executor: string;
  /** Milliseconds since the epoch; null without a timeout. */
  deadline_ms: number | null;
  labels: Record<string, string>;
  session: { id: string; name: string } | null;
  /** True: actions of tools are only shown, not made. */
  dry_run: boolean;
  /** The job that called this one. */
  parent?: string | null;
  /** Finds the job in all logs; 32 hexadecimal digits. */
  trace_id?: string;
}

/** A value and the version that it has. */
export interface Versioned<T> {
  value: T;
  /** For {@link SetOptions.ifVersion}. */
  version: string;
}

export interface SetOptions {
  /** The version it must have now; "" when it must not exist yet. */
  ifVersion?: string;
}

/** What can be stopped with an AbortSignal. */
export interface SignalOptions {
  /** Once it is aborted, what waits is rejected with its reason. */
  signal?: AbortSignal;
}

export interface ToolOptions extends SignalOptions {
  /** Resolve to what would be sent; nothing is. */
  dryRun?: boolean;
  /**
   * All calls with this key are one: the action is made once, even by a job
   * that runs again. Default: each call has its own.
   */
  idempotencyKey?: string;
  /** Milliseconds for the call with its retries. Default: 300000. */
  timeoutMs?: number;
}

export interface StreamInputOptions extends SignalOptions {
  /** The number of the first record that is wanted, from 0. Default: 0. */
  from?: number;
}

/** How a variable is: its value, or that it is not there. */
export type ChangeState<T> =
  | { readonly value: T; readonly deleted: false }
  | { readonly value: null; readonly deleted: true };

/**
 * A write of a variable (`change`, `delete`), or how it is (`snapshot`, first;
 * `reset`, where more was missed than the runtime remembers).
 */
export type Change<T = Json> = ChangeState<T> & {
  readonly type: "snapshot" | "change" | "delete" | "reset";
  readonly key: string;
  /** For {@link SubscribeOptions.fromVersion} and {@link SetOptions.ifVersion}. */
  readonly version: string;
};

/** Whether the runtime reaches the backend: what happens while not comes late. */
export type ConnectionState =
  | {
      readonly type: "disconnected";
      readonly key: string;
      /** Why, in words. */
      readonly reason?: string;
    }
  | { readonly type: "connected"; readonly key: string; readonly reason?: never };

export interface SubscribeOptions extends SignalOptions {
  /** The version that is known: all changes after it. Default: a snapshot first. */
  fromVersion?: string;
  /** Yield `disconnected` and `connected` too. Default: false. */
  includeState?: boolean;
  /** Hears of `disconnected` and `connected`, in order with the changes. */
  onState?: (state: ConnectionState) => void;
}

/**
 * What the runtime sends as it happens. Lost connections are made again,
 * without a gap or a repeat. Leaving the loop closes the connection, another
 * loop goes on from there.
 *
 * Iterating rejects with `UnavailableError` when nobody answers for the timeout
 * of a call, with `StreamBrokenError` behind the last record of a stream whose
 * writer failed, with the errors of any call (`ForbiddenError`, …), and with
 * the signal's reason.
 */
export interface Feed<T> extends AsyncIterable<T> {
  [Symbol.asyncIterator](): AsyncGenerator<T, void, undefined>;
  /**
   * A Node Readable in object mode. It cannot hold null (no stream of Node's
   * can): a record that is null destroys it with `InvalidError`.
   */
  toReadable(): Readable;
  /** A web ReadableStream. */
  toWeb(): ReadableStream<T>;
}

/** The records of the input stream; see {@link Operations.streamInput}. */
export interface RecordStream<T = Json> extends Feed<T> {
  /** The number of the record that comes next, from 0. */
  readonly position: number;
}

/** The changes of a variable; see {@link Operations.subscribe}. */
export type Subscription<C> = Feed<C>;

/**
 * Appends to the output stream, each record once; see
 * {@link Operations.streamOutput}. What goes wrong with a record is told by a
 * later `write`, `flush`, `close` or `end`: `TooLargeError`, `InvalidError`
 * (`stream_ended`), `UnavailableError`, the signal's reason. None of what was
 * written after that is sent.
 */
export interface StreamWriter<T = Json> {
  /**
   * Takes a record: a JSON value, 1 MiB of JSON text at most. Resolves at once,
   * or, while 1 MiB is not stored yet, when there is room: await it. Rejects
   * with `InvalidError` what is no JSON value, and then takes nothing.
   */
  write(value: T): Promise<void>;
  /** Resolves once all that was written is stored. */
  flush(): Promise<void>;
  /** `flush`, and no more from this writer. The stream stays open. */
  close(): Promise<void>;
  /** `close`, and the stream is complete: its readers come to its end. */
  end(): Promise<void>;
  /** How many records of the stream are stored, as far as is known here. */
  readonly acknowledged: number;
  /** A Node Writable in object mode; its end is `close`. It takes no null. */
  toWritable(): Writable;
  /** A web WritableStream; its `close` is this `close`. */
  toWeb(): WritableStream<T>;
  /** `close`, for `await using` (Node 18.18 or newer). */
  [Symbol.asyncDispose](): Promise<void>;
}

/** A variable as an object; see {@link Operations.variable}. */
export interface Variable<T> {
  /** See {@link Operations.getVariable}. */
  get(): Promise<T>;
  get<D>(fallback: D): Promise<T | D>;
  /** See {@link Operations.setVariable}. */
  set(value: T, options?: SetOptions): Promise<string>;
  /** See {@link Operations.deleteVariable}. */
  delete(): Promise<boolean>;
  /** See {@link Operations.incrementVariable}. */
  increment(by?: number): Promise<number>;
  /** See {@link Operations.subscribe}. */
  subscribe(
    options: SubscribeOptions & { includeState: true },
  ): Subscription<Change<T> | ConnectionState>;
  subscribe(options?: SubscribeOptions): Subscription<Change<T>>;
}

/**
 * Every call may reject with `NotInJobError`, `AuthError`, `RateLimitError`
 * (429 for the whole timeout) and `UnavailableError` (5xx, or no answer, for
 * the whole timeout, 30 s; after a write nobody knows whether it is stored).
 */
export interface Operations {
  /**
   * The job's input; null when none was given.
   *
   * @example const { rows } = await getInput<{ rows: Row[] }>();
   */
  getInput<T = Json>(): Promise<T>;

  /**
   * Sets the job's output, a JSON value; resolves once it is stored. The last
   * one wins. `TooLargeError` over 10 MiB, `InvalidError` where it is no JSON.
   *
   * @example await setOutput({ rows: rows.length });
   */
  setOutput<T = Json>(value: T): Promise<void>;

  /**
   * The value of a variable or secret; the fallback where there is none,
   * without one `NotFoundError`. `ForbiddenError` for a key that the job may
   * not read.
   *
   * @example const limit = await getVariable<number>("limit", 10);
   */
  getVariable<T = Json>(key: string): Promise<T>;
  getVariable<T = Json, D = T>(key: string, fallback: D): Promise<T | D>;

  /**
   * The value with its version, to compare and set; `NotFoundError` where there
   * is none.
   *
   * @example
   * const { value, version } = await getVariableVersion<number[]>("history");
   * await setVariable("history", [...value, 1], { ifVersion: version });
   */
  getVariableVersion<T = Json>(key: string): Promise<Versioned<T>>;

  /**
   * Stores a value, a JSON value of at most 1 MiB; resolves, once it is stored,
   * to its new version. `ConflictError` where `ifVersion` does not hold,
   * `ForbiddenError`, `TooLargeError`, `InvalidError`.
   *
   * @example await setVariable("colour", "red");
   */
  setVariable<T = Json>(
    key: string,
    value: T,
    options?: SetOptions,
  ): Promise<string>;

  /**
   * Removes a variable; resolves to whether it was there. `ForbiddenError`.
   *
   * @example await deleteVariable("colour");
   */
  deleteVariable(key: string): Promise<boolean>;

  /**
   * Adds in one step that nobody can come between; resolves to the new value.
   * An absent variable counts from 0. `InvalidError` where it is no number.
   *
   * @example const visits = await incrementVariable("visits");
   */
  incrementVariable(key: string, by?: number): Promise<number>;

  /**
   * The names that this job may read and that begin with the prefix, sorted.
   *
   * @example for (const key of await listVariables("app.")) console.log(key);
   */
  listVariables(prefix?: string): Promise<string[]>;

  /**
   * A variable as an object.
   *
   * @example
   * const limit = variable<number>("limit");
   * await limit.set((await limit.get(0)) + 1);
   */
  variable<T = Json>(key: string): Variable<T>;

  /**
   * The changes of a variable, as they are made, until the job ends. The first
   * is a `snapshot`, of how things are. `ForbiddenError`.
   *
   * @example
   * for await (const change of subscribe<number>("limit"))
   *   if (!change.deleted) use(change.value);
   */
  subscribe<T = Json>(
    key: string,
    options: SubscribeOptions & { includeState: true },
  ): Subscription<Change<T> | ConnectionState>;
  subscribe<T = Json>(
    key: string,
    options?: SubscribeOptions,
  ): Subscription<Change<T>>;

  /**
   * The records of the job's input stream, as they come, to its end. A number
   * is short for `{ from }`. `InvalidError` (`stream_gap`) where the stream
   * has not come to that number.
   *
   * @example for await (const row of streamInput<Row>()) handle(row);
   * @example await pipeline(streamInput().toReadable(), transform, sink);
   */
  streamInput<T = Json>(from?: number | StreamInputOptions): RecordStream<T>;

  /**
   * A writer to the job's output stream, which ends when the job succeeds. One
   * writer at a time.
   *
   * @example
   * const out = streamOutput<Row>();
   * for (const row of rows) await out.write(row);
   * await out.close();
   */
  streamOutput<T = Json>(options?: SignalOptions): StreamWriter<T>;

  /**
   * Makes an action of a tool; resolves to its result. `ToolError` where the
   * target failed (`tool_failed`, `tool_timed_out`, `credential_missing`) or
   * nobody knows (`outcome_unknown`); `InvalidError` for params that it does
   * not take (`problem.violations`), `NotFoundError`, `ForbiddenError`.
   *
   * @example
   * await executeToolAction("slack", "send-message", {
   *   channel: "#ops",
   *   text: "done",
   * });
   */
  executeToolAction<T = Json, P extends object = Record<string, unknown>>(
    tool: string,
    action: string,
    params?: P,
    options?: ToolOptions,
  ): Promise<T>;

  /** The workflow condition; false until it was set. */
  getCondition(): Promise<boolean>;

  /**
   * Sets the workflow condition; resolves once it is stored.
   *
   * @example await setCondition(used > 0.9);
   */
  setCondition(condition: boolean): Promise<void>;

  /**
   * What caused the job: its id, attempt, event, deadline, labels, …
   *
   * @example const { attempt, labels } = await getEventContext();
   */
  getEventContext(): Promise<EventContext>;
}

export interface CroniumOptions {
  /** Default: `CRONIUM_RUNTIME_API`. */
  url?: string;
  /** Default: `CRONIUM_EXECUTION_TOKEN`. */
  token?: string;
  /** Milliseconds for a whole call with its retries. Default: 30000. */
  timeoutMs?: number;
}

/**
 * A client of its own, for another url, token or timeout than that of the
 * module's functions.
 *
 * @example const impatient = new Cronium({ timeoutMs: 2000 });
 */
export interface Cronium extends Operations {
  /** Closes idle connections; the next call opens a new one. */
  close(): void;
}
export const Cronium: new (options?: CroniumOptions) => Cronium;

/** What the runtime answered, or why it could not be asked. */
export class CroniumError extends Error {
  /** The HTTP status; 0 without an answer. */
  readonly status: number;
  /** A short stable word, such as `variable_not_found`; "" without one. */
  readonly code: string;
  /** Finds the request in the logs. */
  readonly traceId: string;
  /** All that the runtime said, such as `violations` or `upstream_status`. */
  readonly problem: Readonly<Record<string, Json>>;
}
/** The script does not run under Cronium. */
export class NotInJobError extends CroniumError {}
/** 401: the token is forged, expired, or its job has ended. */
export class AuthError extends CroniumError {}
/** 403: the job may not do this, or not with this variable or tool. */
export class ForbiddenError extends CroniumError {}
/** 404: there is no such value, tool or action. */
export class NotFoundError extends CroniumError {}
/** 412: another has written since that version. */
export class ConflictError extends CroniumError {}
/** 413: over a limit; nothing was stored. */
export class TooLargeError extends CroniumError {}
/** 400, 409 and every other 4xx; what is no JSON value. */
export class InvalidError extends CroniumError {}
/** 429 until the timeout. */
export class RateLimitError extends CroniumError {}
/** 5xx, or no answer until the timeout: a write may not be stored. */
export class UnavailableError extends CroniumError {}
/** 424: the action failed; 409 `outcome_unknown`: nobody knows. */
export class ToolError extends CroniumError {}
/** 409 `stream_broken`: the job that writes the stream failed. */
export class StreamBrokenError extends CroniumError {}

export const getInput: Operations["getInput"];
export const setOutput: Operations["setOutput"];
export const getVariable: Operations["getVariable"];
export const getVariableVersion: Operations["getVariableVersion"];
export const setVariable: Operations["setVariable"];
export const deleteVariable: Operations["deleteVariable"];
export const incrementVariable: Operations["incrementVariable"];
export const listVariables: Operations["listVariables"];
export const variable: Operations["variable"];
export const subscribe: Operations["subscribe"];
export const streamInput: Operations["streamInput"];
export const streamOutput: Operations["streamOutput"];
export const executeToolAction: Operations["executeToolAction"];
export const getCondition: Operations["getCondition"];
export const setCondition: Operations["setCondition"];
export const getEventContext: Operations["getEventContext"];

declare const cronium: Operations;
export { cronium };
export default cronium;
