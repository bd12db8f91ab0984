"use strict";

const { Cronium } = require("./client.js");
const { fromReply, ...errors } = require("./errors.js");

const shared = new Cronium();
const operations = [
  "getInput",
  "setOutput",
  "getVariable",
  "getVariableVersion",
  "setVariable",
  "deleteVariable",
  "incrementVariable",
  "listVariables",
  "variable",
  "getCondition",
  "setCondition",
  "getEventContext",
  "subscribe",
  "streamInput",
  "streamOutput",
  "executeToolAction",
];

for (const name of operations) exports[name] = shared[name].bind(shared);
Object.assign(exports, { Cronium, ...errors });
exports.cronium = exports;
exports.default = exports; // TypeScript without esModuleInterop
