"use strict";

const errors = require("./errors.js");

/** The value as JSON text; InvalidError where it is none. */
function dump(value) {
  let text;
  try {
    text = JSON.stringify(value);
  } catch (cause) {
    throw new errors.InvalidError(`not a JSON value: ${cause.message}`, {
      cause,
    });
  }
  if (text === undefined)
    throw new errors.InvalidError(`not a JSON value: ${typeof value}`);
  return text;
}

module.exports = { dump };
