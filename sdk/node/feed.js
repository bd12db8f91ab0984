"use strict";

const { Readable } = require("node:stream");
const errors = require("./errors.js");

const TIMEOUT_MS = 30000;
/** A reply that has lasted so long was no failed attempt. */
const HEALTHY_MS = 2000;

/** The next chunk; one that does not come within idleMs ends the response. */
async function nextChunk(chunks, response, idleMs) {
  const timer = idleMs && setTimeout(() => response.destroy(), idleMs);
  try {
    return await chunks.next();
  } finally {
    clearTimeout(timer);
  }
}

/**
 * What the runtime sends as it happens: an async iterable over as many
 * connections as it takes. One that breaks off is made again from behind the
 * last item that was taken, until nobody answers for the timeout of a call.
 *
 * source: request() tells {path, headers} of the next connection, begin(reply)
 * that it is there, take(chunk) gives the items that are complete with it,
 * finish() those that are at the proper end, or null where there is none but
 * the job's; took(item) hears that the caller has one and says whether he is
 * to see it.
 */
class Feed {
  #connect;
  #source;
  #signal;
  #idleMs;

  constructor(connect, source, { signal, idleMs }) {
    this.#connect = connect;
    this.#source = source;
    this.#signal = signal;
    this.#idleMs = idleMs;
  }

  /** Iterates from where the last iteration was left. */
  [Symbol.asyncIterator]() {
    return this.#iterate(new AbortController());
  }

  /** A Node Readable in object mode; destroy() closes the connection. */
  toReadable() {
    const stop = new AbortController();
    const items = this.#iterate(stop);
    return new Readable({
      objectMode: true,
      read() {
        items.next().then(
          ({ done, value }) => {
            if (done) this.push(null);
            else if (value === null)
              this.destroy(
                new errors.InvalidError(
                  "a Readable of Node cannot hold null: iterate over the " +
                    "stream itself, or use toWeb()",
                ),
              );
            else this.push(value);
          },
          (error) => this.destroy(error),
        );
      },
      destroy(error, done) {
        stop.abort();
        done(error);
      },
    });
  }

  /** A web ReadableStream; cancel() closes the connection. */
  toWeb() {
    const stop = new AbortController();
    const items = this.#iterate(stop);
    return new ReadableStream(
      {
        async pull(controller) {
          const { done, value } = await items.next();
          if (done) controller.close();
          else controller.enqueue(value);
        },
        cancel: () => stop.abort(),
      },
      { highWaterMark: 0 },
    );
  }

  async *#iterate(stop) {
    const abort = () => stop.abort(this.#signal.reason);
    if (this.#signal?.aborted) abort();
    this.#signal?.addEventListener("abort", abort);
    try {
      yield* this.#connections(stop.signal);
    } finally {
      this.#signal?.removeEventListener("abort", abort);
    }
  }

  async *#connections(signal) {
    const transport = this.#connect();
    const patience = transport.patience(TIMEOUT_MS);
    for (;;) {
      const { path, headers } = this.#source.request();
      const reply = await transport.open(path, { headers, patience, signal });
      const lost = yield* this.#read(reply, patience, signal);
      if (!lost) return;
      signal.throwIfAborted();
      if (!(await patience.pause(undefined, signal)))
        throw transport.unavailable(lost, patience);
    }
  }

  /** Returns why the body broke off; undefined at its proper end. */
  async *#read(response, patience, signal) {
    const began = performance.now();
    const abort = () => response.destroy();
    let fruitful = false;
    signal.addEventListener("abort", abort);
    try {
      this.#source.begin(response);
      const chunks = response[Symbol.asyncIterator]();
      for (;;) {
        let step;
        try {
          step = await nextChunk(chunks, response, this.#idleMs);
        } catch (lost) {
          return lost;
        }
        const items = !step.done
          ? this.#source.take(step.value)
          : response.complete && this.#source.finish();
        if (!items) return new Error("the connection was lost");
        fruitful ||= items.length > 0;
        for (const item of items) if (this.#source.took(item)) yield item.value;
        if (step.done) return undefined;
      }
    } finally {
      signal.removeEventListener("abort", abort);
      response.destroy();
      if (fruitful || performance.now() - began >= HEALTHY_MS)
        patience.renew();
    }
  }
}

module.exports = { Feed };
