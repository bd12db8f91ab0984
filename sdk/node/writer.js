"use strict";

const { Writable } = require("node:stream");
const { dump } = require("./json.js");
const errors = require("./errors.js");

const PATH = "/output/stream";
const BATCH_BYTES = 1 << 20;
const WINDOW_BYTES = 1 << 20;
/** The runtime itself bridges 120 s without its backend. */
const TIMEOUT_MS = 150000;
const ENDING = 1;
const ENDED = 2;

/** A reader that is slow is no failure: it is waited for as long as it takes. */
const waits = (problem) => problem?.code === "stream_full";

/**
 * Appends records to the job's output stream: batches of at most 1 MiB, one
 * request at a time, each with the number of its first record, so that a
 * repeat counts once.
 */
class StreamWriter {
  #connect;
  #signal;
  #queue = []; // {line, bytes}, not sent yet
  #waiting = 0; // bytes that are not acknowledged
  #next; // the number of the next record; the first request asks for it
  #sending; // the promise of #send() while it runs
  #error;
  #isClosed = false;
  #ends; // ENDING: behind what is queued; ENDED
  #room = new Set(); // who waits for room

  constructor(connect, { signal } = {}) {
    this.#connect = connect;
    this.#signal = signal;
  }

  /** How many records of the stream are stored, as far as is known here. */
  get acknowledged() {
    return this.#next ?? 0;
  }

  /** Resolves at once, or when less than 1 MiB is not acknowledged. */
  async write(value) {
    this.#check();
    const line = dump(value) + "\n";
    const bytes = Buffer.byteLength(line);
    this.#queue.push({ line, bytes });
    this.#waiting += bytes;
    this.#start();
    if (this.#waiting >= WINDOW_BYTES)
      await new Promise((resolve, reject) =>
        this.#room.add({ resolve, reject }),
      );
  }

  /** Resolves once all that was written is stored. */
  async flush() {
    while (this.#sending) await this.#sending;
    if (this.#error) throw this.#error;
  }

  /** flush(), and no more from this writer. */
  async close() {
    this.#isClosed = true;
    await this.flush();
  }

  /** close(), and the stream is complete. */
  async end() {
    if (!this.#isClosed) {
      this.#check();
      this.#ends = ENDING;
      this.#start();
    }
    await this.close();
  }

  /** A Node Writable in object mode; its end is close(). */
  toWritable() {
    return new Writable({
      objectMode: true,
      write: (value, encoding, done) => {
        this.write(value).then(() => done(), done);
      },
      final: (done) => {
        this.close().then(() => done(), done);
      },
    });
  }

  /** A web WritableStream; its close() is this close(). */
  toWeb() {
    return new WritableStream({
      write: (value) => this.write(value),
      close: () => this.close(),
      abort: () => this.close(),
    });
  }

  #check() {
    if (this.#error) throw this.#error;
    this.#signal?.throwIfAborted();
    if (this.#isClosed || this.#ends)
      throw new errors.InvalidError("this writer is closed");
  }

  #start() {
    this.#sending ??= this.#send();
  }

  /** Sends until nothing is left, what comes meanwhile too; never rejects. */
  async #send() {
    await null; // what is written in the same breath goes along
    try {
      const transport = this.#connect();
      this.#next ??= await this.#append(transport, "", "");
      while (this.#queue.length || this.#ends === ENDING)
        await this.#sendBatch(transport);
    } catch (error) {
      this.#fail(error);
    }
    this.#sending = undefined;
  }

  async #sendBatch(transport) {
    const batch = this.#takeBatch();
    const isLast = this.#ends === ENDING && !this.#queue.length;
    const query = `?from=${this.#next}${isLast ? "&end=1" : ""}`;
    const body = batch.map(({ line }) => line).join("");
    this.#next = await this.#append(transport, query, body);
    if (isLast) this.#ends = ENDED;
    for (const { bytes } of batch) this.#waiting -= bytes;
    if (this.#waiting >= WINDOW_BYTES) return;
    for (const { resolve } of this.#room) resolve();
    this.#room.clear();
  }

  #fail(error) {
    this.#error = error;
    this.#next = error.problem?.next ?? this.#next;
    this.#queue = [];
    for (const { reject } of this.#room) reject(error);
    this.#room.clear();
  }

  #takeBatch() {
    let bytes = 0;
    let count = 0;
    for (const record of this.#queue) {
      if (count && bytes + record.bytes > BATCH_BYTES) break;
      bytes += record.bytes;
      count++;
    }
    return this.#queue.splice(0, count);
  }

  /** The number of the record that comes next. */
  async #append(transport, query, body) {
    const reply = await transport.call("POST", PATH + query, {
      body,
      headers: { "content-type": "application/x-ndjson" },
      patience: transport.patience(TIMEOUT_MS),
      signal: this.#signal,
      waits,
    });
    return JSON.parse(reply.body).next;
  }
}

// Node 18 has it from 18.18 on.
if (Symbol.asyncDispose)
  StreamWriter.prototype[Symbol.asyncDispose] = StreamWriter.prototype.close;

module.exports = { StreamWriter };
