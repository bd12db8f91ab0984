import * as cronium from "cronium";
import main from "./run.js";

await main(cronium);
