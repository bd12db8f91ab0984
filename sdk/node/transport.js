"use strict";

const { randomUUID } = require("node:crypto");
const { setTimeout: sleep } = require("node:timers/promises");
const errors = require("./errors.js");

const RETRY_STATUS = new Set([429, 502, 503, 504]);
const BACKOFF_INITIAL_MS = 50;
const BACKOFF_MAX_MS = 2000;
const CONNECTIONS_MAX = 16;
const MODULES = { "http:": "node:http", "https:": "node:https" };

/** One request on a kept-alive connection: {status, headers, body}. */
function exchange(module, url, { timeout, body, ...options }) {
  return new Promise((resolve, reject) => {
    const request = module.request(url, options);
    const timer = setTimeout(
      () => request.destroy(new Error("timed out")),
      timeout,
    );
    const settle = (finish, value) => {
      clearTimeout(timer);
      finish(value);
    };
    const fail = (error) =>
      settle(
        reject,
        Object.assign(error, { wasIdle: request.reusedSocket }),
      );
    request.on("error", fail);
    request.on("response", (response) => {
      const parts = [];
      response.on("data", (part) => parts.push(part));
      response.on("error", fail);
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

/** Full jitter, after what Retry-After says. */
function pauseBefore(attempt, reply) {
  const ceiling = Math.min(BACKOFF_INITIAL_MS * 2 ** attempt, BACKOFF_MAX_MS);
  const after = Number(reply?.headers["retry-after"] ?? 0) * 1000;
  return Math.random() * ceiling + (after || 0);
}

function moduleFor(url) {
  try {
    return require(MODULES[new URL(url).protocol]);
  } catch (cause) {
    throw new errors.NotInJobError(
      "CRONIUM_RUNTIME_API is no http:// or https:// address: " +
        JSON.stringify(url),
      { cause },
    );
  }
}

/** Calls to one runtime: kept-alive connections, retries until a deadline. */
class Transport {
  #url;
  #token;
  #timeoutMs;
  #module;
  #agent;

  constructor(url, token, timeoutMs) {
    if (!url || !token)
      throw new errors.NotInJobError(
        "this script does not run in a Cronium job (CRONIUM_RUNTIME_API and " +
          "CRONIUM_EXECUTION_TOKEN are not set): start it with " +
          "'cronium run SCRIPT'",
      );
    this.#url = url.replace(/\/+$/, "");
    this.#token = token;
    this.#timeoutMs = timeoutMs;
    this.#module = moduleFor(url);
    // An idle connection does not keep a finished script alive.
    this.#agent = new this.#module.Agent({
      keepAlive: true,
      maxSockets: CONNECTIONS_MAX,
      scheduling: "lifo",
    });
  }

  /** Closes idle connections; the next call opens a new one. */
  close() {
    this.#agent.destroy();
  }

  /** body: JSON text, or undefined for none. */
  async call(method, path, body, extra) {
    const headers = { authorization: "Bearer " + this.#token, ...extra };
    if (body !== undefined) {
      headers["content-type"] = "application/json";
      headers["content-length"] = Buffer.byteLength(body);
    }
    // The same for every attempt: with it a write that is sent again counts
    // once.
    if (method !== "GET") headers["idempotency-key"] = randomUUID();
    const deadline = performance.now() + this.#timeoutMs;
    for (let attempt = 0; ; attempt++) {
      const { reply, lost } = await this.#attempt(deadline, path, {
        method,
        headers,
        body,
      });
      if (reply && !RETRY_STATUS.has(reply.status)) return reply;
      const pause = pauseBefore(attempt, reply);
      if (performance.now() + pause >= deadline) {
        if (reply) return reply;
        throw this.#unavailable(lost);
      }
      await sleep(pause);
    }
  }

  /** {reply} or {lost: why}. */
  async #attempt(deadline, path, request) {
    for (;;) {
      const timeout = Math.max(deadline - performance.now(), 1);
      try {
        const reply = await exchange(this.#module, this.#url + path, {
          ...request,
          agent: this.#agent,
          timeout,
        });
        return { reply };
      } catch (lost) {
        // The runtime may have closed a connection while it was idle: that
        // costs no pause.
        if (!lost.wasIdle || performance.now() >= deadline) return { lost };
      }
    }
  }

  #unavailable(cause) {
    const why = cause.message || cause.code; // an AggregateError has no text
    return new errors.UnavailableError(
      `the runtime at ${this.#url} did not answer within ` +
        `${this.#timeoutMs / 1000} s: ${why}`,
      { cause },
    );
  }
}

module.exports = { Transport };
