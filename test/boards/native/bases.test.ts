/**
 * Structs whose bounds are checked once: random functions over them compute what the slow model says, trap where it traps, and touch nothing
 * else. Compiled for this machine under the address and alignment sanitizers, since a Cortex-M0+ faults where this machine does not.
 */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, test } from "vitest";
import { withBases } from "../../../boards/toolchain/native/bases.ts";
import { MEANING_FLAGS } from "../../../boards/toolchain/native/flags.ts";
import { portFolder, translated } from "../../../boards/toolchain/native/module.ts";
import { run } from "../../../boards/toolchain/native/tools.ts";
import { seededRandom } from "../../../host/world/random.ts";
import { compileAssembly } from "../../../scripts/build-wasm.ts";
import { evaluate, STRUCT_PRELUDE, structPrograms } from "../../support/struct-programs.ts";

const DEEP = process.env.TARDIGRADE_DEEP === "1";
const ARENA_BYTES = 200;
const folder = mkdtempSync(join(tmpdir(), "tardigrade-bases-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const MAIN = `
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include "app.h"
static jmp_buf trapped;
_Noreturn void app_trap(uint32_t kind, uint32_t address) { longjmp(trapped, 1); }
_Noreturn void base_panic(uint32_t kind, uint32_t address) { abort(); }
int main(void) {
  unsigned function, at, seed;
  while (scanf("%u %u %u", &function, &at, &seed) == 3) {
    uint32_t state = seed | 1;
    for (int i = 0; i < ARENA; i += 1) { state = state * 1664525u + 1013904223u; app_arena[i] = state >> 24; }
    if (setjmp(trapped) != 0) printf("trap");
    else printf("%u", (unsigned)functions[function](at, seed));
    uint32_t hash = 1;
    for (int i = 0; i < ARENA; i += 1) hash = (hash ^ app_arena[i]) * 0x01000193u + 1;
    printf(" %u\\n", (unsigned)hash);
  }
  return 0;
}
`;

/** Compiles them, and answers a line for each probe. */
async function native(
  sources: readonly string[],
  probes: readonly (readonly number[])[],
): Promise<{ readonly lines: readonly string[]; readonly near: number }> {
  const entry = "structs.ts";
  const text = STRUCT_PRELUDE + sources.join("\n");
  const flags = ["-Osize", "--runtime", "stub", "--noAssert"];
  const wasm = await compileAssembly([entry], flags, new Map([[entry, text]]));
  const { c } = await translated(folder, wasm, {
    module: "app",
    arenaBytes: ARENA_BYTES,
    arenaSection: ".structs",
    clearedBytes: ARENA_BYTES,
    checked: true,
  });
  const table = sources.map((_, index) => `app_f${index}`).join(", ");
  writeFileSync(
    join(folder, "main.c"),
    MAIN.replace(
      "int main",
      `static uint32_t (*const functions[])(uint32_t, uint32_t) = {${table}};\nint main`,
    ),
  );
  writeFileSync(join(folder, "probes"), probes.map((probe) => `${probe.join(" ")}\n`).join(""));
  const port = portFolder();
  const options = [
    ...MEANING_FLAGS,
    "-O1",
    "-g",
    "-fsanitize=address,alignment",
    "-fsanitize-sections=.structs",
    "-fno-sanitize-recover=all",
    `-DARENA=${ARENA_BYTES}`,
    `-DSTACK_REGISTER="${process.arch === "arm64" ? "sp" : "rsp"}"`,
    `-I${port}`,
    `-I${join(port, "common")}`,
    "-I.",
  ];
  await run("gcc", [...options, "app.c", "main.c", "-o", "structs", "-lm"], folder);
  const { stdout } = await run("sh", ["-c", "ASAN_OPTIONS=detect_leaks=0 ./structs < probes"], folder);
  return { lines: stdout.trim().split("\n"), near: (c.match(/\bnear_[if]/g) ?? []).length };
}

function modelled(steps: Parameters<typeof evaluate>[0], at: number, seed: number): string {
  const arena = new Uint8Array(ARENA_BYTES);
  let state = (seed | 1) >>> 0;
  arena.forEach((_, index) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    arena[index] = state >>> 24;
  });
  const answer = evaluate(steps, arena, at, seed);
  const hash = arena.reduce((sum, byte) => (Math.imul(sum ^ byte, 0x01000193) + 1) >>> 0, 1);
  return `${answer ?? "trap"} ${hash}`;
}

test("random functions over structs compute and trap as the slow model does, wherever the struct lies", async () => {
  const random = seededRandom(20);
  const programs = structPrograms(random, DEEP ? 400 : 80);
  const addresses = [
    ...Array.from({ length: ARENA_BYTES + 12 }, (_, at) => at),
    0x7fff_fffc,
    0x8000_0000,
    ...[1, 2, 4, 8, 16, 20, 39, 40].map((below) => 2 ** 32 - below),
  ];
  const probes = programs.flatMap((_, index) =>
    addresses.flatMap((at) => [0, 1].map(() => [index, at, random.u32()])),
  );
  const { lines, near } = await native(
    programs.map(({ source }) => source),
    probes,
  );
  expect(near).toBeGreaterThan(programs.length);
  const expected = probes.map(([index, at, seed]) =>
    modelled(programs[index as number]?.steps ?? [], at as number, seed as number),
  );
  expect(expected.filter((line) => line.startsWith("trap")).length).toBeGreaterThan(probes.length / 20);
  expect(lines.length).toBe(expected.length);
  const wrong = expected.findIndex((line, index) => line !== lines[index]);
  expect(
    wrong < 0 ? "" : `${programs[probes[wrong]?.[0] ?? 0]?.source} at ${probes[wrong]}: ${lines[wrong]}`,
  ).toBe("");
});

test("an access out of line with its alignment, or after a jump can have come, keeps its own check", () => {
  const body = [
    "  var_i0 = var_p0;",
    "  var_i0 = i32_load(var_i0 + 8u);",
    "  var_i1 = var_p0;",
    "  var_i1 = i32_load(var_i1 + 6u);",
    "  var_i2 = var_p0;",
    "  i32_store8(var_i2 + 3u, var_i0);",
    "  var_i2 = var_p0;",
    "  var_L0: ",
    "  i32_store(var_i2, var_i0);",
    "  var_i2 = var_p0;",
    "  i32_store(var_i2 + 12u, var_i0);",
  ].join("\n");
  const based = withBases(body, ["var_p0"], 64).split("\n");
  expect(based[0]).toBe("  u8* base_p0 = base_of(var_p0, 16, 2);");
  expect(based.filter((line) => line.includes("near_"))).toEqual([
    "  var_i0 = near_i32_load(base_p0, var_i0, 8u);",
    "  near_i32_store8(base_p0, var_i2, 3u, var_i0);",
    "  near_i32_store(base_p0, var_i2, 12u, var_i0);",
  ]);
  // No room for the furthest, too few accesses, nothing read, a line that sets the base and something else.
  expect(withBases(body, ["var_p0"], 15)).toBe(body);
  expect(withBases(body.split("\n").slice(0, 6).join("\n"), ["var_p0"], 64)).not.toContain("near_");
  expect(withBases(body.replaceAll("i32_load(", "i32_store("), ["var_p0"], 64)).not.toContain("near_");
  expect(withBases(`${body}\n  {var_p0 = var_i0; var_i3 = var_i1;}`, ["var_p0"], 64)).not.toContain("near_");
});

test("a base that moves leaves its older copies behind", () => {
  const loads = (stack: string) => [0, 4, 8].map((offset) => `  var_i9 = i32_load(${stack} + ${offset}u);`);
  const body = ["  var_i0 = var_p0;", "  var_p0 = var_i1;", ...loads("var_i0"), ...loads("var_i1")].join(
    "\n",
  );
  const based = withBases(body, ["var_p0"], 64).split("\n");
  expect(based.filter((line) => line.includes("(var_i0 +"))).toHaveLength(3);
  // By its own check alone: the parameter's first value serves nothing.
  expect(based.filter((line) => line.includes("near_"))).toEqual([]);
  const twice = [...loads("var_i1"), ...body.split("\n"), ...loads("var_i1")].join("\n");
  const served = withBases(twice, ["var_p0"], 64).split("\n");
  expect(served.filter((line) => line.includes("near_")).every((line) => line.includes(", var_i1,"))).toBe(
    true,
  );
  expect(served.filter((line) => line.includes("near_"))).toHaveLength(6);
  expect(served).toContain("  base_p0 = base_of(var_p0, 12, 2);");
});
