/**
 * How everything here is measured: sides take turns (A B C A B C ...), so that whatever else the machine does falls on all of
 * them, and the median of the rounds is told.
 */
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";

export interface SuiteOptions {
  /** Measured rounds of each side; one more comes before them and is not counted. */
  readonly rounds: number;
  /** Share of the usual work: 1 in a real run, little in the tests. */
  readonly scale: number;
  /** A folder on the disk to measure; it is emptied afterwards. */
  readonly folder: string;
  /** Progress, for people. */
  readonly say: (text: string) => void;
}

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  const upper = sorted[middle] ?? Number.NaN;
  return sorted.length % 2 === 1 ? upper : ((sorted[middle - 1] ?? upper) + upper) / 2;
}

/** "12.1k to 13.0k": how far the rounds lie apart. */
export function spread(values: readonly number[]): string {
  return `${short(Math.min(...values))} to ${short(Math.max(...values))}`;
}

export function short(value: number): string {
  if (value >= 1e6) return `${(value / 1e6).toPrecision(3)}M`;
  return value >= 1e3 ? `${(value / 1e3).toPrecision(3)}k` : value.toPrecision(3);
}

/** Runs every side once a round, in the same order. The first round warms up and is dropped. */
export async function interleave<T>(
  rounds: number,
  sides: Readonly<Record<string, (round: number) => T | Promise<T>>>,
): Promise<Map<string, T[]>> {
  const results = new Map<string, T[]>(Object.keys(sides).map((name) => [name, []]));
  for (let round = 0; round <= rounds; round += 1) {
    for (const [name, side] of Object.entries(sides)) {
      const result = await side(round);
      if (round > 0) results.get(name)?.push(result);
    }
  }
  return results;
}

/** Whole numbers of work, at least `least`. */
export function scaled(usual: number, scale: number, least = 1): number {
  return Math.max(least, Math.round(usual * scale));
}

/** Throws when two sides did not do the same work; returns the checksum they agree on, in hex. */
export function sameChecksum(checksums: Readonly<Record<string, number>>): string {
  const entries = Object.entries(checksums);
  const first = entries[0]?.[1] ?? 0;
  if (entries.some(([, checksum]) => checksum !== first)) {
    const told = entries.map(([name, checksum]) => `${name} ${hex(checksum)}`).join(", ");
    throw new Error(`The sides did different work: ${told}.`);
  }
  return hex(first);
}

export function hex(checksum: number): string {
  return (checksum >>> 0).toString(16).padStart(8, "0");
}

/** Of an installed package; packages that export no package.json are looked up on the disk. */
export function versionOf(name: string): string {
  const require = createRequire(import.meta.url);
  for (let folder = dirname(require.resolve(name)); ; folder = dirname(folder)) {
    try {
      const about = JSON.parse(readFileSync(join(folder, "package.json"), "utf8"));
      if (about.name === name) return about.version;
    } catch {
      // Not this folder.
    }
    if (folder === dirname(folder)) return "unknown";
  }
}
