import { expect, test } from "vitest";
import { coreOf } from "../../host/core/core.ts";
import { createMessageCodec } from "../../host/core/message-codec.ts";
import { compileAssembly, DEVICE_FLAGS } from "../../scripts/build-wasm.ts";

test("the core compiles without what device compilers lack, imports nothing and stays small", async () => {
  const bytes = await compileAssembly(["assembly/index.ts"], DEVICE_FLAGS);
  const module = new WebAssembly.Module(bytes);
  expect(WebAssembly.Module.imports(module)).toEqual([]);
  const raft = await compileAssembly(["assembly/raw/rafts.ts"], DEVICE_FLAGS);
  expect(raft.length).toBeLessThan(14_336);
  // All the rest of it; an app's image holds what the app uses.
  expect(bytes.length - raft.length).toBeLessThan(40_960);
  const codec = createMessageCodec(coreOf(new WebAssembly.Instance(module)));
  const message = { kind: "commandResult", id: 1, code: 0, result: 0.1 } as const;
  const encoded = codec.encode(message);
  expect(encoded.ok && codec.decode(encoded.bytes)).toEqual({ ok: true, message });
}, 60_000);

test("breaker, retry and every rate limiter together stay small enough for a microcontroller", async () => {
  const modules = ["breaker", "retry", "token-bucket", "limiter"].map(
    (name) => `assembly/resilience/${name}.ts`,
  );
  const bytes = await compileAssembly(modules, DEVICE_FLAGS);
  expect(WebAssembly.Module.imports(new WebAssembly.Module(bytes))).toEqual([]);
  expect(bytes.length).toBeLessThan(8192);
}, 60_000);
