// Uses every name of the Node SDK, in TypeScript. It is compiled with the
// strictest checks; what must be refused is marked.
import type { Readable, Writable } from "node:stream";
import fallback, {
  AuthError,
  ConflictError,
  Cronium,
  CroniumError,
  ForbiddenError,
  InvalidError,
  NotFoundError,
  NotInJobError,
  RateLimitError,
  StreamBrokenError,
  ToolError,
  TooLargeError,
  UnavailableError,
  cronium,
  deleteVariable,
  executeToolAction,
  getCondition,
  getEventContext,
  getInput,
  getVariable,
  getVariableVersion,
  incrementVariable,
  listVariables,
  setCondition,
  setOutput,
  setVariable,
  streamInput,
  streamOutput,
  subscribe,
  variable,
  type Change,
  type ConnectionState,
  type CroniumOptions,
  type EventContext,
  type Feed,
  type Json,
  type Operations,
  type RecordStream,
  type SetOptions,
  type SignalOptions,
  type StreamInputOptions,
  type StreamWriter,
  type SubscribeOptions,
  type Subscription,
  type ToolOptions,
  type Variable,
  type Versioned,
} from "cronium";

interface Row {
  id: number;
  name: string;
}
interface Limits {
  perMinute: number;
}

/** Compiles where T is exactly what is expected. */
type Same<A, B> =
  (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2
    ? true
    : false;
function is<Expected>() {
  return <Actual,>(value: Actual, same: Same<Actual, Expected>): Actual =>
    same ? value : value;
}

export async function values(): Promise<void> {
  is<Json>()(await getInput(), true);
  const rows = is<Row[]>()(await getInput<Row[]>(), true);
  await setOutput({ rows: rows.length });
  await setOutput<Row>({ id: 1, name: "a" });
  // @ts-expect-error: a name is missing
  await setOutput<Row>({ id: 1 });
  // @ts-expect-error: a row is no text
  const text: string = await getInput<Row>();
  void text;
}

export async function variables(): Promise<void> {
  is<Json>()(await getVariable("k"), true);
  is<number>()(await getVariable<number>("limit", 10), true);
  is<Row | null>()(await getVariable<Row, null>("row", null), true);
  const versioned: Versioned<number[]> =
    await getVariableVersion<number[]>("history");
  const options: SetOptions = { ifVersion: versioned.version };
  is<string>()(await setVariable("history", [1], options), true);
  is<boolean>()(await deleteVariable("history"), true);
  is<number>()(await incrementVariable("n", 2), true);
  is<string[]>()(await listVariables("app."), true);

  const limit: Variable<number> = variable<number>("limit");
  is<number>()(await limit.get(), true);
  is<string | number>()(await limit.get("none"), true);
  is<string>()(await limit.set(5, { ifVersion: "" }), true);
  is<boolean>()(await limit.delete(), true);
  is<number>()(await limit.increment(), true);
  for await (const change of limit.subscribe())
    if (!change.deleted) is<number>()(change.value, true);

  // @ts-expect-error: it is a variable of numbers
  await limit.set("five");
  // @ts-expect-error: a version is a string
  await setVariable("k", 1, { ifVersion: 1 });
  // @ts-expect-error: there is no such option
  await setVariable("k", 1, { version: "1" });
  // @ts-expect-error: a key is a string
  await getVariable(1);
  // @ts-expect-error: so much is a number
  await incrementVariable("n", "1");
}

export async function changes(): Promise<void> {
  const stop = new AbortController();
  const options: SubscribeOptions = {
    fromVersion: "7",
    signal: stop.signal,
    onState: (state: ConnectionState) => console.error(state.reason),
  };
  const some: Subscription<Change<Limits>> = subscribe<Limits>("k", options);
  for await (const change of some) {
    is<string>()(change.version, true);
    is<string>()(change.key, true);
    if (change.deleted) is<null>()(change.value, true);
    else is<number>()(change.value.perMinute, true);
    // @ts-expect-error: it may be deleted
    change.value.perMinute;
    // @ts-expect-error: not without includeState
    if (change.type === "connected") break;
  }
  for await (const told of subscribe<number>("k", { includeState: true }))
    if (told.type === "disconnected" || told.type === "connected")
      is<string | undefined>()(told.reason, true);
    else is<string>()(told.version, true);
  // @ts-expect-error: a key is needed
  subscribe();
}

export async function streams(): Promise<void> {
  const from: StreamInputOptions = { from: 3 };
  const rows: RecordStream<Row> = streamInput<Row>(from);
  const feed: Feed<Row> = rows;
  await using out: StreamWriter<Row> = streamOutput<Row>();
  for await (const row of feed) is<void>()(await out.write(row), true);
  is<number>()(rows.position, true);
  await out.flush();
  is<number>()(out.acknowledged, true);
  await out.end();
  await out.close();

  const readable: Readable = streamInput(7).toReadable();
  const writable: Writable = streamOutput().toWritable();
  readable.pipe(writable);
  const signal: SignalOptions = { signal: AbortSignal.timeout(1000) };
  for await (const row of streamInput<Row>(signal).toWeb())
    is<string>()(row.name, true);
  const writer = streamOutput<Row>(signal).toWeb().getWriter();
  await writer.write({ id: 1, name: "a" });

  // @ts-expect-error: a name is missing
  await out.write({ id: 1 });
  // @ts-expect-error: a number is from 0 on
  streamInput("first");
  // @ts-expect-error: not to be set
  rows.position = 1;
  // @ts-expect-error: it is not iterated at once
  for (const row of rows) void row;
}

export async function tools(): Promise<void> {
  const options: ToolOptions = {
    dryRun: true,
    idempotencyKey: "monthly-report",
    timeoutMs: 1000,
  };
  is<Json>()(await executeToolAction("t", "a"), true);
  is<Row>()(await executeToolAction<Row>("t", "a", { id: 1 }, options), true);
  // @ts-expect-error: params are an object
  await executeToolAction("t", "a", "text");
  // @ts-expect-error: an action is needed
  await executeToolAction("t");
  // @ts-expect-error: there is no such option
  await executeToolAction("t", "a", {}, { timeout: 1 });
}

export async function job(): Promise<void> {
  is<boolean>()(await getCondition(), true);
  await setCondition(true);
  const context: EventContext = await getEventContext();
  is<number | null>()(context.deadline_ms, true);
  // @ts-expect-error: a condition is true or false
  await setCondition("yes");
  // @ts-expect-error: there is no such member
  context.user;
}

export async function clients(): Promise<void> {
  const options: CroniumOptions = { url: "", token: "", timeoutMs: 500 };
  const own = new Cronium(options);
  is<Row>()(await own.getInput<Row>(), true);
  own.close();
  const all: Operations[] = [own, cronium, fallback];
  for (const one of all) await one.setOutput(null);
  // @ts-expect-error: milliseconds are a number
  new Cronium({ timeoutMs: "5s" });
  // @ts-expect-error: the module's functions share one that stays open
  cronium.close();
}

const kinds = [
  NotInJobError, AuthError, ForbiddenError, NotFoundError, ConflictError,
  TooLargeError, InvalidError, RateLimitError, UnavailableError, ToolError,
  StreamBrokenError,
];

export function errors(error: unknown): void {
  if (!(error instanceof CroniumError)) return;
  is<number>()(error.status, true);
  is<string>()(error.code + error.traceId, true);
  is<Json | undefined>()(error.problem["violations"], true);
  for (const kind of kinds) if (error instanceof kind) throw error;
  // @ts-expect-error: not to be set
  error.code = "other";
}
