import { describe, expect, test } from "vitest";
import { createFallback, type FallbackOptions } from "../../../../host/core/policy/fallback.ts";
import { boom, codeOf, codeOfRejection, fail, policyRig } from "../../../support/policy-rig.ts";

describe("fallback", () => {
  test("answers with a value, plainly and in promises, and only when the call failed", async () => {
    const fallback = createFallback(policyRig().seams, { value: 7 });
    expect([fallback.executeSync(() => 5), fallback.executeSync<number>(fail)]).toEqual([5, 7]);
    expect(await fallback.execute(async () => 5)).toBe(5);
    expect(await fallback.execute<Promise<number>>(async () => fail())).toBe(7);
  });

  test("asks a function, which gets the error", async () => {
    const plain = createFallback(policyRig().seams, { call: (error) => `after ${String(error)}` });
    expect(plain.executeSync<string>(fail)).toBe("after Error: boom");
    const async = createFallback(policyRig().seams, { call: async (_, { attempt }) => attempt });
    expect(await async.execute<Promise<number>>(async () => fail())).toBe(1);
  });

  test("gives the last good value while it is not too old", () => {
    const { clock, seams } = policyRig();
    const fallback = createFallback(seams, { lastGoodMs: 1000 });
    expect(fallback.state).toEqual({ hasLastGood: false });
    expect(codeOf(() => fallback.executeSync(fail))).toBe("NO_FALLBACK");
    expect(fallback.executeSync(() => "good")).toBe("good");
    clock.nowMs = 1000;
    expect([fallback.executeSync<string>(fail), fallback.state.hasLastGood]).toEqual(["good", true]);
    clock.nowMs = 1001;
    expect(fallback.state.hasLastGood).toBe(false);
    expect(codeOf(() => fallback.executeSync(fail))).toBe("NO_FALLBACK");
  });

  test("goes down the chain until something has a value", async () => {
    const { clock, seams } = policyRig();
    const heard: string[] = [];
    let isSecondUp = true;
    const fallback = createFallback(seams, {
      chain: [
        { call: async () => (isSecondUp ? "second" : fail()) },
        { call: fail },
        { lastGoodMs: 100 },
        { value: "value" },
      ],
    });
    fallback.on("fallback", ({ step }) => heard.push(step));
    expect(await fallback.execute<Promise<string>>(async () => fail())).toBe("second");
    isSecondUp = false;
    expect(await fallback.execute<Promise<string>>(async () => fail())).toBe("value");
    expect(await fallback.execute(async () => "good")).toBe("good");
    expect(await fallback.execute<Promise<string>>(async () => fail())).toBe("good");
    clock.nowMs = 101;
    expect(await fallback.execute<Promise<string>>(async () => fail())).toBe("value");
    expect(heard).toEqual([
      "call",
      "call",
      "call",
      "value",
      "call",
      "call",
      "lastGood",
      "call",
      "call",
      "value",
    ]);
  });

  test("an exhausted chain tells of the last error; errors that are not worth it and aborts go through", async () => {
    const { seams } = policyRig();
    const none = createFallback(seams, { chain: [{ call: () => JSON.parse("{") }] });
    await expect(none.execute(fail)).rejects.toMatchObject({
      code: "NO_FALLBACK",
      cause: expect.any(SyntaxError),
    });
    const picky = createFallback(seams, { value: 1, fallbackIf: (error) => error !== boom });
    expect(codeOf(() => picky.executeSync(fail))).toBe("Error: boom");
    const controller = new AbortController();
    const aborted = createFallback(seams, { value: 1 }).execute(async () => {
      controller.abort(new Error("changed my mind"));
      fail();
    }, controller);
    await expect(aborted).rejects.toBe(boom);
  });

  test.each<FallbackOptions>([
    { chain: [] },
    {} as FallbackOptions,
    { call: 5 as never },
    { lastGoodMs: -1 },
    { lastGoodMs: Number.NaN },
  ])("is refused with %o", (options) => {
    expect(codeOf(() => createFallback(policyRig().seams, options))).toBe("ARGUMENT");
  });

  test("closed, it refuses with a code", async () => {
    const fallback = createFallback(policyRig().seams, { chain: [{ lastGoodMs: 5 }, { value: 1 }] });
    fallback.close();
    fallback.close();
    expect(await codeOfRejection(fallback.execute(() => 1))).toBe("POLICY_CLOSED");
  });
});
