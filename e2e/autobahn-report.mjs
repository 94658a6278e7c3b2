// Writes docs/conformance.md from what autobahn-full.sh collected, and judges it.
//   node autobahn-report.mjs RESULTS OUT SUITE WS GATEWAY GROUP...
// Where an agent finished a group, RESULTS/ROLE/GROUP/AGENT/index.json holds its behaviour in each case. A case fails when an agent
// of ours is neither OK nor as good as the one it is compared with; what did not run fails too.
// Of the cases in $KNOWN (AGENT:CASE) a NON-STRICT is told, but does not fail.
// Prints what failed, then `N passed, N failed`; exits with 1 if any failed.
import { existsSync, readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";

const [results, out, suite, ws, gateway, ...groups] = process.argv.slice(2);
const ranks = ["OK", "INFORMATIONAL", "NON-STRICT", "UNIMPLEMENTED", "UNCLEAN", "WRONG CODE", "FAILED BY CLIENT", "FAILED"];
const rank = (behaviour) => (ranks.includes(behaviour) ? ranks.indexOf(behaviour) : ranks.length);
// How many cases each group of the suite has.
const sizes = { 1: 16, 2: 11, 3: 7, 4: 10, 5: 20, 6: 145, 7: 37, 9: 54, 10: 1 };
const sizeOf = (group) => sizes[group] ?? 18;
const expected = groups.reduce((sum, group) => sum + sizeOf(group), 0);
const order = (id) => id.split(".").map((part) => part.padStart(4, "0")).join(".");

function indexes(folder) {
  if (!existsSync(folder)) return [];
  return readdirSync(folder).flatMap((name) => {
    const path = join(folder, name);
    if (statSync(path).isDirectory()) return indexes(path);
    // What was broken off in the middle says nothing.
    return name === "index.json" && existsSync(join(folder, "complete")) ? [path] : [];
  });
}

function collect(role) {
  const agents = {};
  for (const path of indexes(join(results, role))) {
    for (const [agent, cases] of Object.entries(JSON.parse(readFileSync(path, "utf8")))) {
      // A folder that was kept may hold more groups than were asked for.
      const asked = Object.entries(cases).filter(([id]) => groups.some((group) => id.startsWith(`${group}.`)));
      agents[agent] = { ...agents[agent], ...Object.fromEntries(asked) };
    }
  }
  return agents;
}

function totals(cases, key) {
  const counts = {};
  for (const result of Object.values(cases)) counts[result[key]] = (counts[result[key]] ?? 0) + 1;
  return counts;
}

const roles = [
  ["server", "Server role", "The suite's client against an echo server", {
    direct: `node ws ${ws} alone`, gateway: "the same behind the gateway" }],
  ["client", "Client role", "The suite's server, met by an echoing client", {
    direct: `node ws ${ws} alone`, gateway: "the same through the gateway (its upstream side)",
    sockwarden: "our own client (`sockwarden-net`)" }],
];

const known = new Set((process.env.KNOWN ?? "").split(/\s+/));

const page = [];
let passed = 0;
let failed = 0;
for (const [role, title, about, names] of roles) {
  const agents = collect(role);
  if (!existsSync(join(results, role))) continue;
  page.push(`## ${title}`, "", `${about}, permessage-deflate on.`, "");
  const seen = ranks.filter((behaviour) =>
    Object.keys(names).some((agent) => ["behavior", "behaviorClose"].some((key) => totals(agents[agent] ?? {}, key)[behaviour])));
  page.push(`| | cases run | ${seen.join(" | ")} | closing: ${seen.join(" | closing: ")} |`);
  page.push(`|---|---:|${"---:|".repeat(2 * seen.length)}`);
  for (const [agent, name] of Object.entries(names)) {
    const cases = agents[agent] ?? {};
    const row = ["behavior", "behaviorClose"].flatMap((key) => seen.map((behaviour) => totals(cases, key)[behaviour] ?? 0));
    page.push(`| ${name} | ${Object.keys(cases).length} of ${expected} | ${row.join(" | ")} |`);
  }
  page.push("");
  for (const [agent, name] of Object.entries(names)) {
    const cases = agents[agent] ?? {};
    const missing = groups.filter((group) =>
      Object.keys(cases).filter((id) => id.startsWith(`${group}.`)).length !== sizeOf(group));
    if (missing.length > 0) page.push(`Not finished in its time, ${name}: ${missing.map((group) => `${group}.*`).join(", ")}.`, "");
    if (agent === "direct") continue;
    failed += expected - Object.keys(cases).length;
    const differing = [];
    for (const id of Object.keys(cases).sort((a, b) => (order(a) < order(b) ? -1 : 1))) {
      const ours = cases[id];
      const theirs = agents.direct?.[id];
      const worse = ["behavior", "behaviorClose"].some((key) => rank(ours[key]) > Math.max(theirs ? rank(theirs[key]) : 0, 1));
      const isKnown = known.has(`${agent}:${id}`) && ours.behavior === "NON-STRICT" && ours.behaviorClose === "OK";
      if (worse && !isKnown) failed++;
      else passed++;
      if (worse) console.log(`${isKnown ? "known" : "FAIL "} ${role} ${agent} ${id}: ${ours.behavior}, closing ${ours.behaviorClose}`);
      const differs = theirs ? ours.behavior !== theirs.behavior || ours.behaviorClose !== theirs.behaviorClose : worse;
      if (differs) {
        const words = (result) => (result ? `${result.behavior}, closing ${result.behaviorClose}` : "not run");
        differing.push(`| ${id} | ${words(theirs)} | ${words(ours)} | ${worse ? "worse" : "not worse"} |`);
      }
    }
    const compared = Object.keys(cases).filter((id) => agents.direct?.[id]).length;
    page.push(`${name[0].toUpperCase()}${name.slice(1)}: compared in ${compared} cases, ${differing.length === 0 ? "none differs." : "of which these differ."}`, "");
    if (differing.length > 0) {
      page.push("| case | node ws alone | " + (agent === "gateway" ? "with the gateway" : "our client") + " | |", "|---|---|---|---|", ...differing, "");
    }
  }
}
const head = [
  "# Conformance", "",
  "What the [Autobahn TestSuite](https://github.com/crossbario/autobahn-testsuite) says about the gateway and the client that the",
  "scanner uses. `cargo xtask autobahn --full` writes this page; the test command runs the fast part of the cases and fails",
  "when one is worse than the echo server alone.", "",
  `Autobahn TestSuite ${suite}, ${gateway}, node ${process.versions.node}, ws ${ws}; ${new Date().toISOString().slice(0, 10)}.`,
  groups.length < 21 ? `Groups of cases: ${groups.join(", ")}.` : "All groups of cases; a table says how many of them ran.", "",
];
writeFileSync(out, [...head, ...page].join("\n").trimEnd() + "\n");
console.log(`${passed} passed, ${failed} failed`);
process.exit(failed === 0 && passed > 0 ? 0 : 1);
