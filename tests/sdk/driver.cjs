require("./run.js")(require("cronium"));
