// Judges Autobahn's index.json: node autobahn-compare.mjs INDEX EXPECTED_CASES AGENT [BASELINE]
// With a baseline, a case fails when the agent's behaviour is not OK (or informational), or is worse than the baseline's.
// Without one, NON-STRICT passes too: an agent that is not ours is only looked at.
// Prints what failed, then `N passed, N failed`; exits with 1 if any failed.
import { readFileSync } from "node:fs";

const [file, expected, agent, baseline] = process.argv.slice(2);
const index = JSON.parse(readFileSync(file, "utf8"));
const ranks = ["OK", "INFORMATIONAL", "NON-STRICT", "UNIMPLEMENTED", "UNCLEAN", "WRONG CODE", "FAILED BY CLIENT", "FAILED"];
const rank = (behaviour) => {
  const at = ranks.indexOf(behaviour);
  return at < 0 ? ranks.length : at;
};
const good = ranks.indexOf(baseline ? "INFORMATIONAL" : "NON-STRICT");
const cases = index[agent] ?? {};
const order = (id) => id.split(".").map((part) => part.padStart(4, "0")).join(".");
const ids = Object.keys(cases).sort((a, b) => (order(a) < order(b) ? -1 : 1));
let failed = 0;
let worse = 0;
for (const id of ids) {
  const before = baseline && index[baseline]?.[id];
  if (baseline && !before) {
    console.log(`FAIL  ${id}: the baseline has no result`);
    failed++;
    continue;
  }
  const wrong = ["behavior", "behaviorClose"].flatMap((key) => {
    const now = cases[id][key];
    const isWorse = before && rank(now) > Math.max(rank(before[key]), good);
    if (isWorse) worse++;
    // Autobahn itself ends a connection in some cases ("FAILED BY CLIENT"): that counts where the baseline fares better.
    const isBad = rank(now) > good && !(now === "FAILED BY CLIENT" && before && !isWorse);
    return isBad || isWorse ? [`${key} ${now}${before ? ` (${baseline}: ${before[key]})` : ""}`] : [];
  });
  if (wrong.length > 0) {
    console.log(`FAIL  ${id}: ${wrong.join(", ")}`);
    failed++;
  }
}
const missing = Number(expected) - ids.length;
if (missing !== 0) {
  console.log(`FAIL  ${agent}: ${ids.length} cases ran, ${expected} were to run`);
  failed += Math.max(missing, 1);
}
const counts = {};
for (const id of ids) counts[cases[id].behavior] = (counts[cases[id].behavior] ?? 0) + 1;
const summary = Object.entries(counts).map(([behaviour, count]) => `${count} ${behaviour}`).join(", ");
console.log(`${agent}: ${summary}${baseline ? `; ${worse} worse than ${baseline}` : ""}`);
console.log(`${Math.max(Number(expected) - failed, 0)} passed, ${failed} failed`);
process.exit(failed === 0 ? 0 : 1);
