"use strict";

const { randomUUID } = require("node:crypto");
const { setTimeout: sleep } = require("node:timers/promises");
const errors = require("./errors.js");

const RETRY_STATUS = new Set([429, 502, 503, 504]);
const BACKOFF_INITIAL_MS = 50;
const BACKOFF_MAX_MS = 2000;
const TIMEOUT_MS = 30000;

/** One request on a kept-alive connection: {status, headers, body}. */
function exchange(transport, agent, url, { method, headers, body, timeout }) {
  return new Promise((resolve, reject) => {
    const request = transport.request(url, { method, headers, agent });
    const timer = setTimeout(
      () => request.destroy(new Error("no answer in time")),
      timeout,
    );
    const settle = (finish, value) => {
      clearTimeout(timer);
      finish(value);
    };
    request.on("error", (error) => settle(reject, error));
    request.on("response", (response) => {
      const parts = [];
      response.on("data", (part) => parts.push(part));
      response.on("error", (error) => settle(reject, error));
      response.on("end", () =>
        settle(resolve, {
          status: response.statusCode,
          headers: response.headers,
          body: Buffer.concat(parts).toString("utf8"),
        }),
      );
    });
    request.end(body);
  });
}

function problemOf(reply) {
  try {
    const problem = JSON.parse(reply.body);
    return problem !== null && typeof problem === "object" ? problem : {};
  } catch {
    return {};
  }
}

function keyPath(key) {
  if (typeof key !== "string" || key === "")
    throw new errors.InvalidError(
      `a variable's key is a non-empty string, not ${JSON.stringify(key)}`,
    );
  return "/variables/" + encodeURIComponent(key);
}

function dump(value) {
  const text = JSON.stringify(value);
  if (text === undefined)
    throw new errors.InvalidError(`not a JSON value: ${typeof value}`);
  return text;
}

const etagOf = (reply) => (reply.headers.etag ?? "").replaceAll('"', "");

/**
 * A connection to the runtime of this execution. The module's functions use
 * one shared instance; make your own for another url, token or timeout
 * (milliseconds for a whole call with its retries).
 */
class Cronium {
  #url;
  #token;
  #timeout;
  #transport;
  #agent;

  constructor({ url, token, timeoutMs = TIMEOUT_MS } = {}) {
    this.#url = url ?? process.env.CRONIUM_RUNTIME_API ?? "";
    this.#token = token ?? process.env.CRONIUM_EXECUTION_TOKEN ?? "";
    this.#timeout = timeoutMs;
  }

  /** The job's input, any JSON value; null when none was given. */
  async getInput() {
    return JSON.parse((await this.#call("GET", "/input")).body);
  }

  /** Sets the job's output, resolved once it is stored; the last one wins. */
  async setOutput(value) {
    await this.#call("POST", "/output", { value });
  }

  /** The value; `fallback`, where one is given, when there is none. */
  async getVariable(key, ...fallback) {
    try {
      return JSON.parse((await this.#call("GET", keyPath(key))).body);
    } catch (error) {
      if (fallback.length && error instanceof errors.NotFoundError)
        return fallback[0];
      throw error;
    }
  }

  /** {value, version}: give the version to setVariable as ifVersion. */
  async getVariableVersion(key) {
    const reply = await this.#call("GET", keyPath(key));
    return { value: JSON.parse(reply.body), version: etagOf(reply) };
  }

  /**
   * Stores the value and resolves to its new version. ifVersion: the version
   * it must have now, "" when it must not exist yet; ConflictError otherwise.
   */
  async setVariable(key, value, { ifVersion } = {}) {
    const headers = {};
    if (ifVersion === "") headers["if-none-match"] = "*";
    else if (ifVersion !== undefined) headers["if-match"] = `"${ifVersion}"`;
    return etagOf(await this.#call("PUT", keyPath(key), { value, headers }));
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
    const reply = await this.#call("POST", keyPath(key) + "/increment", {
      value: { by },
    });
    return JSON.parse(reply.body).value;
  }

  /** The names that this job may read and that begin with `prefix`. */
  async listVariables(prefix = "") {
    const query = prefix ? `?prefix=${encodeURIComponent(prefix)}` : "";
    const reply = await this.#call("GET", "/variables" + query);
    return JSON.parse(reply.body);
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
      return JSON.parse((await this.#call("GET", "/condition")).body);
    } catch (error) {
      if (error instanceof errors.NotFoundError) return false;
      throw error;
    }
  }

  /** Sets the workflow condition, true or false. */
  async setCondition(condition) {
    if (typeof condition !== "boolean")
      throw new errors.InvalidError("a condition is true or false");
    await this.#call("POST", "/condition", { value: condition });
  }

  /** What caused the job: job, execution, event, attempt, deadline, … */
  async getEventContext() {
    return JSON.parse((await this.#call("GET", "/context")).body);
  }

  /** Closes idle connections; the next call opens a new one. */
  close() {
    this.#agent?.destroy();
  }

  #connect() {
    if (!this.#url || !this.#token)
      throw new errors.NotInJobError(
        "this script does not run in a Cronium job (CRONIUM_RUNTIME_API and " +
          "CRONIUM_EXECUTION_TOKEN are not set): start it with " +
          "'cronium run SCRIPT'",
      );
    this.#transport ??= this.#url.startsWith("https:")
      ? require("node:https")
      : require("node:http");
    // An idle connection does not keep a finished script alive.
    this.#agent ??= new this.#transport.Agent({ keepAlive: true });
  }

  async #call(method, path, { value, headers: extra } = {}) {
    this.#connect();
    const body = value === undefined ? undefined : dump(value);
    const headers = {
      authorization: "Bearer " + this.#token,
      ...extra,
    };
    if (body !== undefined) {
      headers["content-type"] = "application/json";
      headers["content-length"] = Buffer.byteLength(body);
    }
    // The same key for every attempt: a retried write counts once.
    if (method !== "GET") headers["idempotency-key"] = randomUUID();
    const reply = await this.#retry({ method, path, headers, body });
    if (reply.status >= 400)
      throw errors.fromReply(reply.status, problemOf(reply));
    return reply;
  }

  async #retry({ path, ...request }) {
    const deadline = performance.now() + this.#timeout;
    for (let attempt = 0; ; attempt++) {
      let reply;
      let lost;
      try {
        reply = await exchange(this.#transport, this.#agent, this.#url + path, {
          ...request,
          timeout: Math.max(deadline - performance.now(), 1),
        });
      } catch (error) {
        lost = error;
      }
      if (reply && !RETRY_STATUS.has(reply.status)) return reply;
      const pause = pauseBefore(attempt, reply);
      if (performance.now() + pause >= deadline) {
        if (reply) return reply;
        throw new errors.UnavailableError(
          `the runtime at ${this.#url} did not answer within ` +
            `${this.#timeout} ms: ${lost.message}`,
          { cause: lost },
        );
      }
      await sleep(pause);
    }
  }
}

/** Full jitter, but no sooner than Retry-After says. */
function pauseBefore(attempt, reply) {
  const ceiling = Math.min(BACKOFF_INITIAL_MS * 2 ** attempt, BACKOFF_MAX_MS);
  const after = Number(reply?.headers["retry-after"] ?? 0) * 1000;
  return Math.max(Math.random() * ceiling, after || 0);
}

module.exports = { Cronium };
