/** `tardi world run`: worlds at a time, and which violation is shown. */
import { describe, expect, test } from "vitest";
import { playSeeds } from "../../../host/cli/world-play.ts";
import { MAIN, run } from "../../support/processes.ts";

interface Fake {
  readonly seed: number;
  readonly violation?: { readonly atMs: number; readonly what: string };
}

describe("seeds, two at a time", () => {
  test("are all run, in their order", async () => {
    const begun: number[] = [];
    const ran = await playSeeds<Fake>(
      {
        width: 2,
        run: async (seed) => {
          begun.push(seed);
          return { report: { seed }, events: [] };
        },
        close: async () => undefined,
      },
      { seed: 5, seeds: 4 },
      () => undefined,
    );
    expect(begun).toEqual([5, 6, 7, 8]);
    expect(ran.map(({ report }) => report.seed)).toEqual([5, 6, 7, 8]);
  });
  test("end with a violation: those before it are waited for, none is begun after it", async () => {
    const begun: number[] = [];
    let finishFirst = (): void => undefined;
    const ran = playSeeds<Fake>(
      {
        width: 2,
        run: async (seed) => {
          begun.push(seed);
          if (seed === 1) await new Promise<void>((resolve) => (finishFirst = resolve));
          const violation = { atMs: 0, what: "two leaders" };
          return { report: seed === 1 ? { seed } : { seed, violation }, events: [] };
        },
        close: async () => undefined,
      },
      { seed: 1, seeds: 100 },
      // The second is done before the first.
      (done) => done === 1 && finishFirst(),
    );
    expect((await ran).map(({ report }) => report.violation === undefined)).toEqual([true, false]);
    expect(begun).toEqual([1, 2]);
  });
});

test("worlds in threads are those of one thread", async () => {
  const world = (...args: string[]) =>
    run(process.execPath, [MAIN, "world", "run", "--seeds", "3", "--for", "5s", "--json", ...args]);
  const [alone, threads] = await Promise.all([world("--jobs", "1"), world("--jobs", "2")]);
  expect([alone.code, threads.code]).toEqual([0, 0]);
  expect(JSON.parse(threads.stdout).worlds).toEqual(JSON.parse(alone.stdout).worlds);
  expect(JSON.parse(alone.stdout).worlds).toHaveLength(3);
});

test("what cannot be run is told alike, in threads and without", async () => {
  const world = (jobs: string) =>
    run(process.execPath, [
      ...[MAIN, "world", "run", "--seeds", "4", "--for", "5s", "--json"],
      ...["--faults", "rust", "--jobs", jobs],
    ]);
  const [alone, threads] = await Promise.all([world("1"), world("2")]);
  for (const { code, stdout, stderr } of [alone, threads]) {
    expect(code).toBe(1);
    expect(stdout + stderr).toContain('"ARGUMENT"');
    expect(stdout + stderr).toContain('no fault \\"rust\\"');
  }
});
