/** Errors on their way to another machine and back: nothing lost that may travel, nothing taken that must not be trusted. */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { isTardigradeError, TardigradeError } from "../../protocols/error.ts";
import { errorFromJSON } from "../../protocols/error-from-json.ts";
import { ERROR_JSON_LIMITS, wireErrorJson } from "../../protocols/error-json.ts";
import { ERRORS, type ErrorCode } from "../../protocols/table.ts";

const CODES = Object.keys(ERRORS) as ErrorCode[];
const overTheWire = (error: TardigradeError) =>
  errorFromJSON(JSON.parse(JSON.stringify(wireErrorJson(error))));

const text = fc.string({ unit: fc.constantFrom(..."aB3 _.:äß漢🙂"), maxLength: 60 });
const key = fc
  .string({ unit: fc.constantFrom(..."abcxyzXYZ019_"), minLength: 1, maxLength: 12 })
  .map((name) => `k${name}`);
const context = fc.dictionary(
  key,
  fc.oneof(text, fc.integer(), fc.boolean(), fc.double({ noNaN: true, noDefaultInfinity: true })),
  { maxKeys: ERROR_JSON_LIMITS.CONTEXT_KEYS_MAX },
);
const chain = fc.array(fc.record({ code: fc.constantFrom(...CODES), message: text, context }), {
  minLength: 1,
  maxLength: ERROR_JSON_LIMITS.CHAIN_MAX,
});
const errorOf = (links: readonly { code: ErrorCode; message: string; context: object }[]) =>
  links.reduceRight<TardigradeError | undefined>(
    (cause, link) =>
      new TardigradeError(link.code, link.message, {
        context: link.context as Record<string, string>,
        ...(cause === undefined ? {} : { cause }),
      }),
    undefined,
  ) as TardigradeError;

describe("a trip over the wire", () => {
  test("keeps code, message, context and every cause", () => {
    fc.assert(
      fc.property(chain, (links) => {
        let error: unknown = overTheWire(errorOf(links));
        for (const link of links) {
          if (!isTardigradeError(error)) throw new Error("the chain ended early");
          expect(error.code).toBe(link.code);
          expect(error.message).toBe(link.message === "" ? ERRORS[link.code].help : link.message);
          // -0 is 0 in JSON.
          expect(JSON.stringify(error.context)).toBe(JSON.stringify({ ...link.context }));
          error = error.cause;
        }
        expect(error).toBeUndefined();
      }),
    );
  });

  test("a stack never travels, nor a foreign message, nor a secret", () => {
    const foreign = Object.assign(new Error("ENOSPC: /home/somebody/key.pem\n    at x (file.ts:1:1)"), {
      code: "ENOSPC",
    });
    const error = new TardigradeError("DISK_IO", "mqtt://user:hunter2@broker refused Bearer abcdefghijkl.", {
      cause: foreign,
      context: { password: "hunter2", apiKey: "hunter2", url: "https://a:hunter2@b/", offset: 4 },
    });
    const json = wireErrorJson(error);
    expect(JSON.stringify(json)).not.toMatch(/hunter2|abcdefghijkl|somebody|file\.ts|stack/);
    expect(json).toMatchObject({
      code: "DISK_IO",
      message: "mqtt://broker refused Bearer (left out)",
      context: { url: "https://b/", offset: 4 },
      cause: { name: "Error", system: "ENOSPC" },
    });
    expect(overTheWire(error).cause).toMatchObject({ name: "Error", code: "ENOSPC" });
    // Whoever runs the command may see what the system said, and still no stack.
    expect(error.toJSON().cause).toMatchObject({ message: "ENOSPC: /home/somebody/key.pem" });
    expect(
      wireErrorJson(new TardigradeError("DISK_IO", "x", { cause: new Error("y") })).cause,
    ).toBeUndefined();
  });

  test("a circle of causes ends", () => {
    const error = new TardigradeError("TIMED_OUT", "round");
    Object.assign(error, { cause: error });
    expect(JSON.stringify(error).split("TIMED_OUT").length - 1).toBe(ERROR_JSON_LIMITS.CHAIN_MAX);
  });
});

describe("what comes from outside", () => {
  test("anything at all becomes a typed, bounded error", () => {
    fc.assert(
      fc.property(fc.anything({ withNullPrototype: true, withBigInt: true, maxDepth: 4 }), (value) => {
        expect(isTardigradeError(errorFromJSON(value))).toBe(true);
      }),
      { numRuns: 2000 },
    );
    const hostile = new Proxy({}, { get: () => Reflect.ownKeys(null as never) });
    expect(errorFromJSON(hostile).code).toBe("ERROR_UNKNOWN");
  });

  test("a code of a newer version keeps its name, number, severity and recovery", () => {
    const json = {
      code: "DEVICE_MELTED",
      number: 299,
      severity: "fatal",
      recovery: "isolate",
      message: "Hot.",
    };
    const error = errorFromJSON({ ...json, context: { device: "pot" } });
    expect([error.code, error.message]).toEqual(["ERROR_UNKNOWN", "Hot."]);
    expect(error.context).toEqual({
      device: "pot",
      remoteCode: "DEVICE_MELTED",
      remoteNumber: 299,
      remoteSeverity: "fatal",
      remoteRecovery: "isolate",
    });
  });

  test("a code that was renamed is found by its number", () => {
    const error = errorFromJSON({ code: "APP_CRASHED", number: 206, message: "It trapped." });
    expect([error.code, error.context.remoteCode]).toEqual(["APP_TRAP", "APP_CRASHED"]);
  });

  test.each(["__proto__", "constructor", "toString", "hasOwnProperty"])("%s is no code", (code) => {
    expect(errorFromJSON({ code }).code).toBe("ERROR_UNKNOWN");
    expect(errorFromJSON(JSON.parse(`{"code":"TIMED_OUT","context":{"__proto__":{"x":1}}}`)).context).toEqual(
      {},
    );
  });

  test("texts, keys, numbers of keys and the chain are bounded; control characters are left out", () => {
    const context = Object.fromEntries(
      Array.from({ length: 100 }, (_, index) => [`k${index}`, "x".repeat(9000)]),
    );
    let json: Record<string, unknown> = { code: "TIMED_OUT", message: "end" };
    for (let depth = 0; depth < 5000; depth += 1)
      json = { code: "TIMED_OUT", message: "m".repeat(9000), cause: json };
    const error = errorFromJSON({ ...json, message: "\u001b[2Jred\u0007\u009b1m", context });
    expect(error.message).toBe("[2Jred1m");
    expect(Object.keys(error.context)).toHaveLength(ERROR_JSON_LIMITS.CONTEXT_KEYS_MAX);
    expect(error.context.k0).toHaveLength(ERROR_JSON_LIMITS.CONTEXT_TEXT_CHARS_MAX);
    let depth = 0;
    for (let link: unknown = error; isTardigradeError(link); link = link.cause) {
      expect(link.message.length).toBeLessThanOrEqual(ERROR_JSON_LIMITS.MESSAGE_CHARS_MAX);
      depth += 1;
    }
    expect(depth).toBe(ERROR_JSON_LIMITS.CHAIN_MAX);
    expect(
      errorFromJSON({ code: "TIMED_OUT", context: { "a b": 1, ["x".repeat(49)]: 1, n: {}, i: Number.NaN } })
        .context,
    ).toEqual({});
  });
});
