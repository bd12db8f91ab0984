"use strict";

const { StringDecoder } = require("node:string_decoder");
const errors = require("./errors.js");
const { Feed } = require("./feed.js");

/** The runtime says something every 15 s: it is gone after three of them. */
const IDLE_MS = 45000;
const STATES = new Set(["disconnected", "connected"]);

/** Splits server-sent events: {event, data, id} each. */
class EventParser {
  #decoder = new StringDecoder("utf8");
  #rest = "";
  #event = {};

  push(chunk) {
    const lines = (this.#rest + this.#decoder.write(chunk)).split("\n");
    const events = [];
    this.#rest = lines.pop();
    for (const line of lines) this.#line(line.replace(/\r$/, ""), events);
    return events;
  }

  #line(line, events) {
    if (line === "") {
      if (this.#event.data !== undefined) events.push(this.#event);
      this.#event = {};
      return;
    }
    const [, name, value] = /^([^:]*):? ?(.*)$/.exec(line);
    const data = this.#event.data;
    if (name === "data" && data !== undefined) this.#event.data += "\n" + value;
    else if (name) this.#event[name] = value; // a comment has no name
  }
}

function dataOf(event) {
  try {
    return JSON.parse(event.data);
  } catch (cause) {
    throw new errors.CroniumError(
      `an event of the runtime is no JSON: ${cause.message}`,
      { cause },
    );
  }
}

class ChangeSource {
  #path;
  #key;
  #version;
  #includeState;
  #onState;
  #parser;

  constructor(path, key, { fromVersion, includeState, onState }) {
    this.#path = path;
    this.#key = key;
    this.#version = fromVersion;
    this.#includeState = includeState;
    this.#onState = onState;
  }

  request() {
    const headers = { accept: "text/event-stream" };
    if (this.#version !== undefined) headers["last-event-id"] = this.#version;
    return { path: this.#path, headers };
  }

  begin() {
    this.#parser = new EventParser();
  }

  take(chunk) {
    return this.#parser.push(chunk).map((event) => this.#item(event));
  }

  /** Events end with the job. */
  finish() {
    return null;
  }

  #item(event) {
    const type = event.event ?? "change";
    const data = dataOf(event);
    if (STATES.has(type)) {
      const reason = data.reason === undefined ? {} : { reason: data.reason };
      return { isState: true, value: { type, key: this.#key, ...reason } };
    }
    const { key, version, value = null, deleted = false } = data;
    return { value: { type, key, version: String(version), value, deleted } };
  }

  took({ isState, value }) {
    if (!isState) {
      this.#version = value.version;
      return true;
    }
    this.#onState?.(value);
    return this.#includeState === true;
  }
}

function checkVersion(version) {
  if (version === undefined || /^[0-9]+$/.test(String(version)))
    return version === undefined ? undefined : String(version);
  throw new errors.InvalidError(
    `fromVersion is the version of a change, not ${version}`,
  );
}

/** The changes of a variable; see Feed. */
class Subscription extends Feed {
  constructor(connect, path, key, options = {}) {
    const { fromVersion, signal } = options;
    const source = new ChangeSource(path, key, {
      ...options,
      fromVersion: checkVersion(fromVersion),
    });
    super(connect, source, { signal, idleMs: IDLE_MS });
  }
}

module.exports = { Subscription };
