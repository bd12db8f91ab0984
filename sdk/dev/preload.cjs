// Lets `import … from "cronium"` find the SDK beside this directory where no
// node_modules has it. `cronium dev` has Node load this first (NODE_OPTIONS);
// require() and Bun find it by NODE_PATH.
"use strict";

const { register } = require("node:module");
const { pathToFileURL } = require("node:url");

// Node 18.19 and later; before, import needs a node_modules/cronium.
if (register) register("./resolve.mjs", pathToFileURL(__filename));
