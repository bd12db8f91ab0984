"use strict";

const errors = require("./errors.js");
const { Feed } = require("./feed.js");

const NEWLINE = 10;

function parse(line, number) {
  try {
    return JSON.parse(line.toString("utf8"));
  } catch (cause) {
    throw new errors.CroniumError(
      `record ${number} of the stream is no JSON: ${cause.message}`,
      { cause },
    );
  }
}

/** Lines of JSON, numbered from where the stream is asked for. */
class RecordSource {
  #path;
  #rest = Buffer.alloc(0);
  #parsed;
  /** The number of the record that the caller gets next. */
  position;

  constructor(path, position) {
    this.#path = path;
    this.position = position;
  }

  request() {
    return {
      path: `${this.#path}?from=${this.position}`,
      headers: { accept: "application/x-ndjson" },
    };
  }

  begin(response) {
    const from = response.headers["x-cronium-stream-from"];
    if (from !== undefined && Number(from) !== this.position)
      throw new errors.CroniumError(
        `the stream begins with record ${from} instead of ${this.position}`,
      );
    this.#rest = Buffer.alloc(0);
    this.#parsed = this.position;
  }

  take(chunk) {
    const data = this.#rest.length ? Buffer.concat([this.#rest, chunk]) : chunk;
    const items = [];
    let start = 0;
    // Of what was there before, nothing is a newline.
    let end = data.indexOf(NEWLINE, this.#rest.length);
    for (; end >= 0; end = data.indexOf(NEWLINE, start)) {
      this.#line(data.subarray(start, end), items);
      start = end + 1;
    }
    this.#rest = data.subarray(start);
    return items;
  }

  finish() {
    const items = [];
    this.#line(this.#rest, items);
    return items;
  }

  #line(line, items) {
    const isEmpty = line.every((byte) => byte === 32 || byte === 13);
    if (!isEmpty) items.push({ value: parse(line, this.#parsed++) });
  }

  took() {
    this.position++;
    return true;
  }
}

/** The records of the job's input stream; see Feed. */
class RecordStream extends Feed {
  #source;

  constructor(connect, { from = 0, signal } = {}) {
    if (!Number.isSafeInteger(from) || from < 0)
      throw new errors.InvalidError(
        `a record's number is a whole number from 0 on, not ${from}`,
      );
    const source = new RecordSource("/input/stream", from);
    super(connect, source, { signal });
    this.#source = source;
  }

  get position() {
    return this.#source.position;
  }
}

module.exports = { RecordStream };
