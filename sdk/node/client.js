"use strict";

const errors = require("./errors.js");
const { dump } = require("./json.js");
const { RecordStream } = require("./records.js");
const { Patience, Transport } = require("./transport.js");
const { Subscription } = require("./watch.js");
const { StreamWriter } = require("./writer.js");

const TIMEOUT_MS = 30000;
const TOOL_TIMEOUT_MS = 300000;

function keyPath(key) {
  if (typeof key !== "string" || key === "")
    throw new errors.InvalidError(
      `a variable's key is a non-empty string, not ${JSON.stringify(key)}`,
    );
  try {
    return "/variables/" + encodeURIComponent(key);
  } catch (cause) {
    throw new errors.InvalidError("a variable's key is no Unicode", { cause });
  }
}

/** The header that makes a write depend on the variable's version. */
function condition(version) {
  if (version === undefined) return {};
  if (version === "") return { "if-none-match": "*" };
  if (typeof version !== "string" || !/^[0-9A-Za-z]+$/.test(version))
    throw new errors.InvalidError(
      `a version is what getVariableVersion tells, not ${version}`,
    );
  return { "if-match": `"${version}"` };
}

const versionOf = (reply) => (reply.headers.etag ?? "").replaceAll('"', "");

function valueOf(reply) {
  try {
    return JSON.parse(reply.body);
  } catch (cause) {
    throw new errors.CroniumError(
      `what answers there is no Cronium runtime: ${cause.message}`,
      { status: reply.status, cause },
    );
  }
}

/**
 * A connection to the runtime of this execution. The module's functions use
 * one shared instance; make your own for another url, token or timeout
 * (milliseconds for a whole call with its retries).
 */
class Cronium {
  #options;
  #transport;

  constructor({ url, token, timeoutMs } = {}) {
    this.#options = { url, token, timeoutMs };
  }

  /** The job's input, any JSON value; null when none was given. */
  async getInput() {
    return this.#get("/input");
  }

  /** Sets the job's output, resolved once it is stored; the last one wins. */
  async setOutput(value) {
    await this.#call("POST", "/output", { body: dump(value) });
  }

  /** The value; `fallback`, where one is given, when there is none. */
  async getVariable(key, ...fallback) {
    try {
      return await this.#get(keyPath(key));
    } catch (error) {
      if (fallback.length && error instanceof errors.NotFoundError)
        return fallback[0];
      throw error;
    }
  }

  /** {value, version}: give the version to setVariable as ifVersion. */
  async getVariableVersion(key) {
    const reply = await this.#call("GET", keyPath(key));
    return { value: valueOf(reply), version: versionOf(reply) };
  }

  /**
   * Stores the value and resolves to its new version. ifVersion: the version
   * it must have now, "" when it must not exist yet; ConflictError otherwise.
   */
  async setVariable(key, value, { ifVersion } = {}) {
    const reply = await this.#call("PUT", keyPath(key), {
      body: dump(value),
      headers: condition(ifVersion),
    });
    return versionOf(reply);
  }

  /** Removes the variable; resolves to whether it was there. */
  async deleteVariable(key) {
    try {
      await this.#call("DELETE", keyPath(key));
      return true;
    } catch (error) {
      if (error instanceof errors.NotFoundError) return false;
      throw error;
    }
  }

  /** Adds in one step that nobody can come between; the new value. */
  async incrementVariable(key, by = 1) {
    const path = keyPath(key) + "/increment";
    const reply = await this.#call("POST", path, { body: dump({ by }) });
    return valueOf(reply).value;
  }

  /** The names that this job may read and that begin with `prefix`. */
  async listVariables(prefix = "") {
    const query = prefix ? `?prefix=${encodeURIComponent(prefix)}` : "";
    return this.#get("/variables" + query);
  }

  /** A variable as an object: variable("k").get(), .set(v), … */
  variable(key) {
    return {
      get: (...fallback) => this.getVariable(key, ...fallback),
      set: (value, options) => this.setVariable(key, value, options),
      delete: () => this.deleteVariable(key),
      increment: (by) => this.incrementVariable(key, by),
      subscribe: (options) => this.subscribe(key, options),
    };
  }

  /**
   * The changes of a variable, as they are made: an async iterable. The first
   * is how things are, or what comes after options.fromVersion.
   */
  subscribe(key, options) {
    const path = keyPath(key) + "/watch";
    return new Subscription(() => this.#connect(), path, key, options);
  }

  /** The records of the input stream, from a number on: an async iterable. */
  streamInput(options) {
    const given = typeof options === "object" ? options : { from: options };
    return new RecordStream(() => this.#connect(), given);
  }

  /** A writer that appends records to the output stream. */
  streamOutput(options) {
    return new StreamWriter(() => this.#connect(), options);
  }

  /**
   * Makes an action of a tool and resolves to its result. It is made once,
   * however often it has to be asked for; with an idempotencyKey once for all
   * calls with that key.
   */
  async executeToolAction(tool, action, params = {}, options = {}) {
    const { dryRun, idempotencyKey, timeoutMs, signal } = options;
    const body = { tool, action, params, ...(dryRun && { dry_run: true }) };
    const key = idempotencyKey && { "idempotency-key": idempotencyKey };
    const reply = await this.#call("POST", "/tool-actions/execute", {
      body: dump(body),
      headers: { ...key },
      timeoutMs: timeoutMs ?? TOOL_TIMEOUT_MS,
      signal,
    });
    return valueOf(reply);
  }

  /** The workflow condition; false until it was set. */
  async getCondition() {
    try {
      return await this.#get("/condition");
    } catch (error) {
      if (error instanceof errors.NotFoundError) return false;
      throw error;
    }
  }

  /** Sets the workflow condition, true or false. */
  async setCondition(condition) {
    if (typeof condition !== "boolean")
      throw new errors.InvalidError("a condition is true or false");
    await this.#call("POST", "/condition", { body: dump(condition) });
  }

  /** What caused the job: job, execution, event, attempt, deadline, … */
  async getEventContext() {
    return this.#get("/context");
  }

  /** Closes idle connections; the next call opens a new one. */
  close() {
    this.#transport?.close();
  }

  #connect() {
    const { url, token, timeoutMs } = this.#options;
    this.#transport ??= new Transport(
      url ?? process.env.CRONIUM_RUNTIME_API,
      token ?? process.env.CRONIUM_EXECUTION_TOKEN,
      timeoutMs,
    );
    return this.#transport;
  }

  /** body: JSON text. timeoutMs: of this call, where it is not as usual. */
  async #call(method, path, { body, headers, timeoutMs, signal } = {}) {
    const transport = this.#connect();
    const patience = timeoutMs
      ? new Patience(timeoutMs)
      : transport.patience(TIMEOUT_MS);
    return transport.call(method, path, { body, headers, patience, signal });
  }

  async #get(path) {
    return valueOf(await this.#call("GET", path));
  }
}

module.exports = { Cronium };
