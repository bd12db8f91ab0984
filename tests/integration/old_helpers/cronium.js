// The helper of old: files beside the script.
const fs = require("fs");

const read = (name, otherwise) =>
  fs.existsSync(name) ? JSON.parse(fs.readFileSync(name)) : otherwise;
const write = (name, value) => fs.writeFileSync(name, JSON.stringify(value));

module.exports = {
  input: () => read("input.json", null),
  output: (data) => write("output.json", data),
  getVariable: (key) => read("variables.json", {})[key] ?? null,
  setVariable: (key, value) =>
    write("variables.json", { ...read("variables.json", {}), [key]: value }),
  event: () => read("event.json", {}),
  getCondition: () => read("condition.json", false),
  setCondition: (value) => write("condition.json", value),
};
