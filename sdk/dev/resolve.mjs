// A resolve hook of Node's: "cronium", where nobody else has it.
const SDK = new URL("../node/index.mjs", import.meta.url).href;

export async function resolve(specifier, context, next) {
  try {
    return await next(specifier, context);
  } catch (error) {
    if (specifier !== "cronium" || error.code !== "ERR_MODULE_NOT_FOUND")
      throw error;
    return { url: SDK, format: "module", shortCircuit: true };
  }
}
