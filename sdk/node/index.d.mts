export * from "./index.js";
export { cronium as default } from "./index.js";
