// Makes the calls of vector steps with the Node SDK, whichever way it was
// loaded; see driver.py.
"use strict";

const { readFileSync } = require("node:fs");

const NAMES = { input: "getInput", output: "setOutput" };

function camel(name) {
  return NAMES[name] ?? name.replace(/_(.)/g, (_, c) => c.toUpperCase());
}

async function run(cronium, step, saved) {
  const calls = {
    ...cronium,
    variableVersion: async (key) =>
      (await cronium.getVariableVersion(key)).version,
    setVariable: (key, value, ...version) =>
      version.length
        ? cronium.setVariable(key, value, { ifVersion: version[0] })
        : cronium.setVariable(key, value),
  };
  const args = step.args.map((a) =>
    typeof a === "string" && a.startsWith("$") ? (saved[a.slice(1)] ?? a) : a,
  );
  try {
    const call = calls[camel(step.call)];
    if (!call) throw new Error(`there is no operation ${step.call}`);
    const result = await call(...args);
    if (step.save) saved[step.save] = result;
    return { result: result ?? null };
  } catch (error) {
    if (!(error instanceof cronium.CroniumError)) throw error;
    return { error: error.name.replace(/Error$/, ""), code: error.code };
  }
}

module.exports = async function main(cronium) {
  const saved = {};
  const results = [];
  for (const step of JSON.parse(readFileSync(process.argv[2], "utf8")))
    results.push(await run(cronium, step, saved));
  console.log(JSON.stringify(results));
};
