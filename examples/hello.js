// Greets whoever the input names, and counts the visits.
const cronium = require("cronium");

async function main() {
  const { name = "world" } = (await cronium.getInput()) ?? {};
  const greeting = await cronium.getVariable("GREETING", "Hello");
  const visits = await cronium.incrementVariable("visits");

  console.log(`greeting ${name}, visit ${visits}`);
  await cronium.setOutput({ message: `${greeting}, ${name}!`, visits });
}

main();
