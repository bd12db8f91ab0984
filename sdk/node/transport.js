"use strict";

const { randomBytes, randomUUID } = require("node:crypto");
const { readFileSync } = require("node:fs");
const { setTimeout: sleep } = require("node:timers/promises");
const errors = require("./errors.js");

const RETRY_STATUS = new Set([429, 502, 503, 504]);
const BACKOFF_INITIAL_MS = 50;
const BACKOFF_MAX_MS = 2000;
const CONNECTIONS_MAX = 16;
const MODULES = { "http:": "node:http", "https:": "node:https" };
const TRACEPARENT = /^00-(?!0{32})([0-9a-f]{32})-[0-9a-f]{16}-([0-9a-f]{2})$/;

/** A request whose reply has begun: the response, its body yet to be read. */
function send(module, url, { timeout, body, signal, ...options }) {
  return new Promise((resolve, reject) => {
    const request = module.request(url, options);
    const abort = () => request.destroy(new Error("aborted"));
    const timer = setTimeout(
      () => request.destroy(new Error("timed out")),
      timeout,
    );
    const settle = () => {
      clearTimeout(timer);
      signal?.removeEventListener("abort", abort);
    };
    signal?.addEventListener("abort", abort);
    request.on("error", (error) => {
      settle();
      reject(Object.assign(error, { wasIdle: request.reusedSocket }));
    });
    request.on("response", (response) => {
      settle();
      resolve(response);
    });
    request.end(body);
  });
}

/** All of a response: {status, headers, body}. */
function receive(response, { timeout, signal }) {
  return new Promise((resolve, reject) => {
    const parts = [];
    const abort = () => response.destroy(new Error("aborted"));
    const timer = setTimeout(
      () => response.destroy(new Error("timed out")),
      timeout,
    );
    const settle = (finish, value) => {
      clearTimeout(timer);
      signal?.removeEventListener("abort", abort);
      finish(value);
    };
    signal?.addEventListener("abort", abort);
    response.on("data", (part) => parts.push(part));
    response.on("error", (error) => settle(reject, error));
    response.on("close", () =>
      settle(reject, new Error("the connection was lost")),
    );
    response.on("end", () =>
      settle(resolve, {
        status: response.statusCode,
        headers: response.headers,
        body: Buffer.concat(parts).toString("utf8"),
      }),
    );
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

/** Whom to trust instead of the built-in list; undefined: that list. */
function trusted(url) {
  const file = process.env.CRONIUM_CA_FILE;
  if (!file || !url.startsWith("https:")) return undefined;
  try {
    return readFileSync(file);
  } catch (cause) {
    throw new errors.NotInJobError(
      "CRONIUM_CA_FILE cannot be read: " + cause.message,
      { cause },
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

/** How long somebody is still waited for, and how long until the next try. */
class Patience {
  #ms;
  #deadline;
  #attempt = 0;

  constructor(ms) {
    this.#ms = ms;
    this.renew();
  }

  /** It has answered: the time starts anew. */
  renew() {
    this.#attempt = 0;
    this.#deadline = performance.now() + this.#ms;
  }

  get seconds() {
    return this.#ms / 1000;
  }

  get leftMs() {
    return Math.max(this.#deadline - performance.now(), 1);
  }

  get isOver() {
    return performance.now() >= this.#deadline;
  }

  /** False, at once, where the time would be over before the pause is. */
  async pause(reply, signal) {
    const ms = pauseBefore(this.#attempt++, reply);
    if (performance.now() + ms >= this.#deadline) return false;
    await sleep(ms, undefined, { signal });
    return true;
  }
}

/** Calls to one runtime: kept-alive connections, retries until a deadline. */
class Transport {
  #url;
  #token;
  #timeoutMs;
  #module;
  #agent;
  #ca;
  #trace;

  /** timeoutMs: of a call with its retries; null for what suits the call. */
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
    this.#ca = trusted(url);
    this.#trace = TRACEPARENT.exec(process.env.TRACEPARENT ?? "");
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

  /** How long to try; ms: what suits where the user has not said. */
  patience(ms) {
    return new Patience(this.#timeoutMs ?? ms);
  }

  #headers(extra) {
    const headers = { authorization: "Bearer " + this.#token, ...extra };
    // Each call is a span of the job's trace.
    if (this.#trace)
      headers.traceparent = `00-${this.#trace[1]}-${randomBytes(8).toString(
        "hex",
      )}-${this.#trace[2]}`;
    return headers;
  }

  /**
   * The reply: {status, headers, body}; its error where it is a problem.
   * body: text, or undefined for none. waits(problem): whether this answer
   * asks for more patience.
   */
  async call(method, path, { body, headers: extra, patience, ...more }) {
    const headers = this.#headers(extra);
    if (body !== undefined) {
      headers["content-type"] ??= "application/json";
      headers["content-length"] = Buffer.byteLength(body);
    }
    // The same for every attempt: with it a write that is sent again counts
    // once.
    if (method !== "GET") headers["idempotency-key"] ??= randomUUID();
    const request = {
      method,
      headers,
      body,
      ca: this.#ca,
      agent: this.#agent,
    };
    return this.#insist(path, request, patience, more);
  }

  /**
   * The response to a GET, its body to be read as it comes. It has a
   * connection of its own, which does not count among those of the calls.
   */
  async open(path, { headers, patience, signal }) {
    const request = {
      method: "GET",
      headers: this.#headers(headers),
      ca: this.#ca,
      agent: false,
    };
    return this.#insist(path, request, patience, { signal, streams: true });
  }

  async #insist(path, request, patience, { signal, streams, waits }) {
    for (;;) {
      signal?.throwIfAborted();
      const { response, reply, lost } = await this.#attempt(
        path,
        { ...request, signal },
        patience,
        streams,
      );
      signal?.throwIfAborted();
      if (response) return response;
      if (reply && reply.status < 400) return reply;
      const problem = reply && problemOf(reply);
      if (reply && !RETRY_STATUS.has(reply.status))
        throw errors.fromReply(reply.status, problem);
      if (waits?.(problem)) patience.renew();
      const again = await patience.pause(reply, signal).catch((error) => {
        signal?.throwIfAborted();
        throw error;
      });
      if (again) continue;
      if (reply) throw errors.fromReply(reply.status, problem);
      throw this.unavailable(lost, patience);
    }
  }

  /** {response} of a stream, {reply}, or {lost: why}. */
  async #attempt(path, request, patience, streams) {
    for (;;) {
      request.timeout = patience.leftMs;
      try {
        const response = await send(this.#module, this.#url + path, request);
        if (streams && response.statusCode < 400) return { response };
        return { reply: await receive(response, request) };
      } catch (lost) {
        // The runtime may have closed a connection while it was idle: that
        // costs no pause.
        if (!lost.wasIdle || patience.isOver || request.signal?.aborted)
          return { lost };
      }
    }
  }

  unavailable(cause, patience) {
    const why = cause.message || cause.code; // an AggregateError has no text
    return new errors.UnavailableError(
      `the runtime at ${this.#url} did not answer within ` +
        `${patience.seconds} s: ${why}`,
      { cause },
    );
  }
}

module.exports = { Patience, Transport };
