/** Faults by rule: what each operator makes of a piece of AssemblyScript, the choice among them, and who can see them. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { seededRandom } from "../../host/world/random.ts";
import { mutantsOf, OPERATORS, spread } from "./operators.ts";
import { openSight } from "./sight.ts";
import { isOf, SURVIVORS } from "./survivors.ts";

const ROOT = join(import.meta.dirname, "../..");
const sourceOf = (file: string): string => readFileSync(join(ROOT, file), "utf8");

function changes(source: string): readonly string[] {
  return mutantsOf("assembly/a.ts", source).map(({ operator, from, to }) => `${operator}: ${from} -> ${to}`);
}

test("comparisons and connectives change places; constants and bounds of loops move by one", () => {
  expect(changes("if (a < b && c == LIMIT) return;")).toEqual([
    "compare: && -> ||",
    "compare: < -> <=",
    "compare: == -> !=",
    "bound: LIMIT -> (LIMIT + 1)",
    "bound: LIMIT -> (LIMIT - 1)",
  ]);
  expect(changes("if (a != 0) return;")).toEqual(["compare: != -> ==", "bound: 0 -> 1"]);
  expect(changes("while (x >= y) f = x;")).toEqual([
    "compare: >= -> >",
    "bound: y -> (y + 1)",
    "bound: y -> (y - 1)",
  ]);
});

test("signs change, numbers grow by one in their own notation, calls for their effect are dropped", () => {
  expect(changes("let a = b + 1;")).toEqual(["sign: + -> -", "constant: 1 -> 2"]);
  expect(changes("return -ARGUMENT;")).toEqual(["sign: -ARGUMENT -> ARGUMENT"]);
  expect(changes("++i;")).toEqual(["sign: ++i -> --i"]);
  expect(changes("a += 0xff_ff;")).toEqual(["sign: += -> -=", "constant: 0xff_ff -> 0x10000"]);
  expect(changes("let x: f32 = 0.5;")).toEqual(["constant: 0.5 -> (0.5 + 1.0)"]);
  expect(changes("let x = true;")).toEqual(["constant: true -> false"]);
  expect(changes("store<u32>(at, v, 4);")).toEqual([
    "dropped: store<u32>(at, v, 4); -> ;",
    "constant: 4 -> 5",
  ]);
  expect(changes("let kept = load<u32>(at);")).toEqual([]);
});

test("comments, types and imports are left alone; a fault says where it stands and has the whole source", () => {
  const source =
    'import { A } from "./a1";\n// 1 + 2\nlet x: StaticArray<u8> = <u32>y; /* 3 < 4 */\n  return x + y;\n';
  expect(mutantsOf("assembly/a.ts", source)).toEqual([
    {
      file: "assembly/a.ts",
      line: 4,
      operator: "sign",
      from: "+",
      to: "-",
      source: source.replace("x + y", "x - y"),
      text: "return x + y;",
    },
  ]);
});

test("the same seed chooses the same; every file and operator has its turn, and none is lost", () => {
  const files = [
    "assembly/resilience/retry.ts",
    "assembly/resilience/last-good.ts",
    "assembly/stats/cusum.ts",
  ].map((file) => mutantsOf(file, sourceOf(file)));
  const choose = (seed: number) => {
    const random = seededRandom(seed);
    return spread(files, (bound) => random.below(bound)).map(({ file, line, operator, to }) => ({
      file,
      line,
      operator,
      to,
    }));
  };
  expect(choose(1)).toEqual(choose(1));
  expect(choose(1)).not.toEqual(choose(2));
  expect(choose(1).length).toBe(files.flat().length);
  expect(
    new Set(
      choose(1)
        .slice(0, 3)
        .map(({ file }) => file),
    ).size,
  ).toBe(3);
  expect(
    new Set(
      choose(1)
        .slice(0, 15)
        .map(({ operator }) => operator),
    ),
  ).toEqual(new Set(OPERATORS));
});

test("a test sees what it names, what that is built upon, and what it reaches through the host", () => {
  const sight = openSight(ROOT);
  expect(sight("assembly/resilience/retry.ts").near).toEqual([
    "test/assembly/layouts.test.ts",
    "test/assembly/retry.test.ts",
    "test/assembly/waits.test.ts",
  ]);
  // By way of the breaker, the throttle and the retry budget.
  expect(sight("assembly/resilience/outcomes.ts").near).toEqual(
    expect.arrayContaining(["test/assembly/breaker.test.ts", "test/assembly/throttle.test.ts"]),
  );
  expect(sight("assembly/resilience/breaker.ts").far).toEqual(
    expect.arrayContaining([
      "test/assembly/decisions.test.ts",
      "test/host/core/policy/circuit-breaker.test.ts",
    ]),
  );
});

test("every explained survivor is a fault that can still be made", () => {
  for (const row of SURVIVORS) {
    const made = mutantsOf(row.file, sourceOf(row.file)).filter((mutant) => isOf(row, mutant));
    expect(made.length, `${row.file}: ${row.text}, ${row.from} -> ${row.to}`).toBeGreaterThan(0);
  }
});
