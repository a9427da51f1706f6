/** One table, two languages: what the core says of a code is what protocols/table.ts says. */
import { expect, test } from "vitest";
import { CATEGORIES, ERRORS, type ErrorRow, RECOVERIES, SEVERITIES } from "../../protocols/table.ts";
import { compileAssembly, DEVICE_FLAGS } from "../../scripts/build-wasm.ts";
import { openTestCore } from "../support/core.ts";
import { openInside } from "../support/inside.ts";

const { raw } = openTestCore();
const ROWS = new Map<number, ErrorRow>(Object.values(ERRORS).map((row) => [row.number, row]));

test("severity, category and recovery of every number, known or not", () => {
  for (let number = 0; number <= 1100; number += 1) {
    const row = ROWS.get(number);
    const told = [raw.errorSeverity(number), raw.errorRecovery(number)];
    const meant = row ?? { severity: "error", recovery: "escalate" };
    expect([number, ...told]).toEqual([
      number,
      SEVERITIES.indexOf(meant.severity),
      RECOVERIES.indexOf(meant.recovery),
    ]);
    const category = CATEGORIES[raw.errorCategory(number)];
    if (row !== undefined) expect([number, category]).toEqual([number, row.category]);
    else if (number < 100 || number >= 100 * (CATEGORIES.length + 1))
      expect([number, raw.errorCategory(number)]).toEqual([number, 255]);
  }
});

test("nothing behind the table is taken for a code", async () => {
  const { call, constant, view } = await openInside(["errors/facts", "errors/codes.generated"]);
  const end = call("codeRows") + 2 * constant("CODE_COUNT");
  const beyond = [1, 2].map((more) => Math.max(...ROWS.keys()) + more);
  for (const [index, number] of beyond.entries()) view().setUint16(end + 2 * index, number << 6, true);
  const error = SEVERITIES.indexOf("error");
  expect(beyond.map((number) => call("errorSeverity", number))).toEqual([error, error]);
}, 60_000);

test("who only names codes carries no table", async () => {
  const source =
    'import { APP_TRAP } from "./errors/codes.generated";\nexport function code(): i32 { return APP_TRAP; }\n';
  const entry = "assembly/names-only.ts";
  const bytes = await compileAssembly([entry], DEVICE_FLAGS, new Map([[entry, source]]));
  expect(bytes.length).toBeLessThan(100);
}, 60_000);
