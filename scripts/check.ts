/** `npm run check`: format, lint, layers, types of both languages, generated files. All run, so that one look shows all. */
import { runStep, type Step } from "./run-steps.ts";

const TSC = "node_modules/typescript/bin/tsc";

export const CHECKS: readonly Step[] = [
  {
    name: "format, lint and layers (Biome)",
    args: ["node_modules/@biomejs/biome/bin/biome", "check", "--error-on-warnings"],
  },
  { name: "types of TypeScript", args: [TSC, "-p", "tsconfig.json"] },
  { name: "types of the page", args: [TSC, "-p", "host/api/ui/tsconfig.json"] },
  { name: "types of assembly/", args: [TSC, "-p", "assembly/tsconfig.json"] },
  { name: "types of firmware/", args: [TSC, "-p", "firmware/tsconfig.json"] },
  { name: "types of example plugins", args: [TSC, "-p", "docs/examples/plugins/tsconfig.json"] },
  { name: "generated files", args: ["scripts/generate.ts", "--check"] },
];

export function check(): boolean {
  return CHECKS.map(runStep).every(Boolean);
}

if (import.meta.main && !check()) process.exitCode = 1;
