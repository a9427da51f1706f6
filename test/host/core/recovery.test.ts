/** recover(): which handler runs, and what happens when there is none. */
import { describe, expect, test } from "vitest";
import { COMPONENTS_MAX, RecoveryLadder, recover, recoveryOf } from "../../../host/core/recovery.ts";
import { TardigradeError } from "../../../protocols/error.ts";
import type { ErrorCode } from "../../../protocols/table.ts";

const failure = (code: ErrorCode, component?: string) =>
  new TardigradeError(code, "x", component === undefined ? {} : { context: { component } });

describe("recover", () => {
  test("runs the handler of the strategy and returns what it returns", () => {
    const error = failure("CONNECTION_FAILED");
    expect(recover(error, { retry: (it) => it, restart: () => undefined })).toBe(error);
    expect(recover(failure("STATE_CORRUPT"), { retry: () => 1, fallback: () => 2 })).toBe(2);
  });

  test("without a handler the next stronger one, at the top the error itself", () => {
    const error = failure("CONNECTION_FAILED");
    expect(recover(error, { isolate: () => "left out" })).toBe("left out");
    expect(recover(error, { escalate: () => "told" })).toBe("told");
    expect(() => recover(error, {})).toThrow(error);
    expect(() => recover(failure("LOG_CORRUPT"), { retry: () => 1, isolate: () => 1 })).toThrow("x");
  });

  test("ignore needs no handler, and never becomes another", () => {
    expect(recover(failure("SENSOR_RANGE"), { escalate: () => 1 })).toBeUndefined();
    expect(recover(failure("SENSOR_RANGE"), { ignore: () => 1 })).toBe(1);
  });

  test("a code can be given another strategy", () => {
    const overrides = { SENSOR_RANGE: "isolate" } as const;
    expect(recoveryOf(failure("SENSOR_RANGE"), overrides)).toBe("isolate");
    expect(recover(failure("SENSOR_RANGE"), { isolate: () => 1 }, { overrides })).toBe(1);
  });

  test("what is no operational error is a bug, and thrown as it is", () => {
    const bug = new TypeError("bug");
    expect(() => recover(bug, { escalate: () => 1, ignore: () => 1 })).toThrow(bug);
  });

  test("with a ladder each component climbs on its own, the error's unless one is named", () => {
    let nowMs = 0;
    const ladder = new RecoveryLadder({ nowMs: () => nowMs, limit: 2, periodMs: 100 });
    const handlers = { restart: () => "restart", isolate: () => "isolate" };
    const run = (component: string) => recover(failure("CORE_TRAP", component), handlers, { ladder });
    expect([run("a"), run("a"), run("a"), run("b")]).toEqual(["restart", "restart", "isolate", "restart"]);
    expect(recover(failure("CORE_TRAP", "a"), handlers, { ladder, component: "b" })).toBe("restart");
    expect(run("b")).toBe("isolate");
    ladder.reset("b");
    expect(run("b")).toBe("restart");
    nowMs = 200;
    expect(run("a")).toBe("restart");
  });

  test("components are bounded: the quietest is forgotten", () => {
    const ladder = new RecoveryLadder({ nowMs: () => 0, limit: 1 });
    const error = failure("CORE_TRAP");
    for (let index = 0; index <= COMPONENTS_MAX; index += 1) ladder.next(`c${index}`, error);
    expect(ladder.next(`c${COMPONENTS_MAX}`, error)).toBe("isolate");
    expect(ladder.next("c0", error)).toBe("restart");
  });

  test.each([{ limit: 0 }, { limit: 1.5 }, { limit: 65_536 }, { periodMs: 0 }, { periodMs: Number.NaN }])(
    "%j is refused",
    (options) => {
      expect(() => new RecoveryLadder({ nowMs: () => 0, ...options })).toThrow(RangeError);
    },
  );
});
