/** The SDK's policies as an app sees them, on the virtual board; their decisions are compared with Node's in test/boards/native/decisions.test.ts. */
import { expect, test } from "vitest";
import { boardRig } from "../support/board-rig.ts";

test("every policy of the SDK does its job in an app", async () => {
  const rig = await boardRig("test/fixtures/apps/policies/app.ts");
  rig.board.powerOn();
  rig.board.setLink(true);
  await rig.clock.advance(1000);
  const run = async (k: number): Promise<string> => {
    rig.send({ kind: "command", id: 10 + k, name: "run", args: [{ key: "k", value: k }] });
    await rig.clock.advance(20);
    const answer = rig.of("commandResult").find(({ id }) => id === 10 + k);
    expect(answer).toMatchObject({ code: 0 });
    return String(answer?.result);
  };
  // Slow calls open; refused; a second to wait; forced open; closed; two failures open, after a reset one does not. A status of 0 leads.
  expect(await run(0)).toBe("1113110");
  // 100, 200, 400 ms, none, 100 again; a retry for two calls, no second; the throttle turns refusing when nothing was ever accepted.
  expect(await run(1)).toBe("12411101");
  // Quantile 3 ms, timeout 6 ms; a timer is cancelled once; nothing due; something later; no value, then 4.
  expect(await run(2)).toBe("36101114");
  // In, full; 5 is shed and its place gone; 7, then 6 come in; two in flight; the limit fell; a bulkhead of 0 is refused.
  expect(await run(3)).toBe("1050762".concat("11"));
  expect(await run(4)).toBe("1".repeat(10).concat("00000"));
  await rig.clock.advance(3000);
  // The timer of 5 ms; the value is too old; every limit has room again; one failure left the breaker closed.
  expect(await run(5)).toBe("81111110");
}, 60_000);
