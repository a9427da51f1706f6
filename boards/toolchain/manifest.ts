/** `app.json` beside an app: its name, its version and what it may use. */
import { readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { TardigradeError } from "../../protocols/error.ts";
import { CAPABILITIES, type Capability, LIMITS } from "../../protocols/table.ts";

export interface Manifest {
  readonly name: string;
  readonly version: string;
  readonly capabilities: readonly Capability[];
}

const NAME = /^[a-z0-9][a-z0-9-]*$/;
const VERSION = /^\d+\.\d+\.\d+(-[0-9a-z.-]+)?$/;
const KEYS = ["name", "version", "capabilities"];

const EXAMPLE = '{ "name": "greenhouse", "version": "1.0.0", "capabilities": ["telemetry", "adc"] }';

/** Throws BUILD_MANIFEST saying what to write. */
export function readManifest(appPath: string): Manifest {
  const file = join(dirname(appPath), "app.json");
  let text: string;
  try {
    text = readFileSync(file, "utf8");
  } catch (cause) {
    throw new TardigradeError("BUILD_MANIFEST", `${file} is missing. Write it: ${EXAMPLE}`, { cause });
  }
  try {
    return parseManifest(JSON.parse(text), file);
  } catch (cause) {
    if (cause instanceof TardigradeError) throw cause;
    throw new TardigradeError("BUILD_MANIFEST", `${file} is no JSON: ${(cause as Error).message}`, { cause });
  }
}

export function parseManifest(value: unknown, file: string): Manifest {
  const wrong = (problem: string) =>
    new TardigradeError("BUILD_MANIFEST", `${file}: ${problem}. For example ${EXAMPLE}`);
  if (typeof value !== "object" || value === null || Array.isArray(value)) throw wrong("must be an object");
  const fields = value as Record<string, unknown>;
  for (const key of Object.keys(fields)) {
    if (!KEYS.includes(key)) throw wrong(`"${key}" is no key of a manifest; the keys are ${KEYS.join(", ")}`);
  }
  const { name, version, capabilities } = fields;
  if (typeof name !== "string" || !NAME.test(name) || name.length > LIMITS.NAME_BYTES_MAX) {
    throw wrong(`"name" must be 1 to ${LIMITS.NAME_BYTES_MAX} of a-z, 0-9 and -`);
  }
  if (typeof version !== "string" || !VERSION.test(version) || version.length > LIMITS.NAME_BYTES_MAX) {
    throw wrong(`"version" must be like 1.0.0`);
  }
  if (!Array.isArray(capabilities)) throw wrong(`"capabilities" must be a list`);
  for (const capability of capabilities) {
    if (typeof capability !== "string" || !(capability in CAPABILITIES)) {
      throw wrong(
        `"${String(capability)}" is no capability; they are ${Object.keys(CAPABILITIES).join(", ")}`,
      );
    }
  }
  return { name, version, capabilities: capabilities as Capability[] };
}

export function capabilityBits(capabilities: readonly Capability[]): number {
  return capabilities.reduce((bits, capability) => bits | (1 << CAPABILITIES[capability]), 0);
}
