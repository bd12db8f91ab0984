// Sums what the input lists, by any of its members.
//
// cronium run examples/report.mjs --input '{"by": "team", "rows": [
//   {"team": "ops", "hours": 3}, {"team": "web", "hours": 2}]}'
import { getInput, setOutput } from "cronium";

const { rows = [], by = "name", sum = "hours" } = (await getInput()) ?? {};
const totals = {};
for (const row of rows)
  totals[row[by]] = (totals[row[by]] ?? 0) + Number(row[sum]);

console.table(totals);
await setOutput({ rows: rows.length, totals });
