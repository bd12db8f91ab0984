"use strict";

const { Transport } = require("./transport.js");
const errors = require("./errors.js");

const TIMEOUT_MS = 30000;

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

function dump(value) {
  let text;
  try {
    text = JSON.stringify(value);
  } catch (cause) {
    throw new errors.InvalidError(`not a JSON value: ${cause.message}`, {
      cause,
    });
  }
  if (text === undefined)
    throw new errors.InvalidError(`not a JSON value: ${typeof value}`);
  return text;
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

function problemOf(reply) {
  try {
    return JSON.parse(reply.body) ?? {};
  } catch {
    return {};
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

  constructor({ url, token, timeoutMs = TIMEOUT_MS } = {}) {
    this.#options = { url, token, timeoutMs };
  }

  /** The job's input, any JSON value; null when none was given. */
  async getInput() {
    return this.#get("/input");
  }

  /** Sets the job's output, resolved once it is stored; the last one wins. */
  async setOutput(value) {
    await this.#call("POST", "/output", dump(value));
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
    const reply = await this.#call(
      "PUT",
      keyPath(key),
      dump(value),
      condition(ifVersion),
    );
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
    return valueOf(await this.#call("POST", path, dump({ by }))).value;
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
    };
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
    await this.#call("POST", "/condition", dump(condition));
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
    return new Transport(
      url ?? process.env.CRONIUM_RUNTIME_API,
      token ?? process.env.CRONIUM_EXECUTION_TOKEN,
      timeoutMs,
    );
  }

  /** The reply to what is sent; body: JSON text. */
  async #call(method, path, body, headers) {
    this.#transport ??= this.#connect();
    const reply = await this.#transport.call(method, path, body, headers);
    if (reply.status >= 400)
      throw errors.fromReply(reply.status, problemOf(reply));
    return reply;
  }

  async #get(path) {
    return valueOf(await this.#call("GET", path));
  }
}

module.exports = { Cronium };
