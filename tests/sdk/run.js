// Makes the calls of vector steps with the Node SDK, whichever way it was
// loaded; see driver.py and sdk/vectors/README.md.
"use strict";

const { readFileSync } = require("node:fs");

const NAMES = { input: "getInput", output: "setOutput" };

function camel(name) {
  return NAMES[name] ?? name.replace(/_(.)/g, (_, c) => c.toUpperCase());
}

function optionsOf(step) {
  const options = Object.entries(step.options ?? {});
  return Object.fromEntries(options.map(([name, v]) => [camel(name), v]));
}

/** Makes the steps of `during` that are due after so many events. */
async function makeDuring(cronium, step, count, saved) {
  for (const inner of step.during ?? [])
    if (inner.after === count) {
      const made = await run(cronium, inner, saved);
      if (made.error) throw new Error(JSON.stringify([inner, made]));
    }
}

/** What a call by its Python name is here, where it is not the same. */
const calls = {
  variableVersion: async (cronium, step, saved, key) =>
    (await cronium.getVariableVersion(key)).version,

  setVariable: (cronium, step, saved, key, value, ...version) =>
    version.length
      ? cronium.setVariable(key, value, { ifVersion: version[0] })
      : cronium.setVariable(key, value),

  executeToolAction: (cronium, step, saved, tool, action, params) =>
    cronium.executeToolAction(tool, action, params, optionsOf(step)),

  async streamInput(cronium, step, saved, from) {
    const records = [];
    try {
      for await (const value of cronium.streamInput({ from }))
        records.push(value);
    } catch (error) {
      throw Object.assign(error, { records });
    }
    return records;
  },

  async streamOutput(cronium, step, saved, values, how) {
    const out = cronium.streamOutput();
    for (const value of values) await out.write(value);
    await out[how]();
    if (how === "flush") await out.close();
    return out.acknowledged;
  },

  async subscribe(cronium, step, saved, key, fromVersion) {
    const events = [];
    for await (const event of cronium.subscribe(key, { fromVersion })) {
      events.push(event);
      await makeDuring(cronium, step, events.length, saved);
      if (events.length >= step.events.length) break;
    }
    return events;
  },
};

function resultToSave(step, result) {
  return step.call === "subscribe" ? result.at(-1).version : result;
}

async function run(cronium, step, saved) {
  const name = camel(step.call);
  const args = step.args.map((a) =>
    typeof a === "string" && a.startsWith("$") ? (saved[a.slice(1)] ?? a) : a,
  );
  if (!cronium[name] && !calls[name])
    throw new Error(`there is no operation ${step.call}`);
  try {
    const result = await (calls[name]
      ? calls[name](cronium, step, saved, ...args)
      : cronium[name](...args));
    if (step.save) saved[step.save] = resultToSave(step, result);
    return { result: result ?? null };
  } catch (error) {
    if (!(error instanceof cronium.CroniumError)) throw error;
    const { name, code, records } = error;
    return { error: name.replace(/Error$/, ""), code, records };
  }
}

module.exports = async function main(cronium) {
  const saved = {};
  const results = [];
  for (const step of JSON.parse(readFileSync(process.argv[2], "utf8")))
    results.push(await run(cronium, step, saved));
  console.log(JSON.stringify(results));
};
