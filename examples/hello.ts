// Greets whoever the input names, and counts the visits: TypeScript, on Bun.
import cronium from "cronium";

interface Visitor {
  name?: string;
}

const { name = "world" } = (await cronium.getInput<Visitor | null>()) ?? {};
const greeting = await cronium.getVariable("GREETING", "Hello");
const visits = await cronium.incrementVariable("visits");

console.log(`greeting ${name}, visit ${visits}`);
await cronium.setOutput({ message: `${greeting}, ${name}!`, visits });
