import { expect, test } from "vitest";
import { coreOf } from "../../host/core/core.ts";
import { createMessageCodec } from "../../host/core/message-codec.ts";
import { compileAssembly, DEVICE_FLAGS } from "../../scripts/build-wasm.ts";

test("the core compiles without what device compilers lack, imports nothing and stays small", async () => {
  const bytes = await compileAssembly(["assembly/index.ts"], DEVICE_FLAGS);
  const module = new WebAssembly.Module(bytes);
  expect(WebAssembly.Module.imports(module)).toEqual([]);
  expect(bytes.length).toBeLessThan(16_384);
  const codec = createMessageCodec(coreOf(new WebAssembly.Instance(module)));
  const message = { kind: "commandResult", id: 1, code: 0, result: 0.1 } as const;
  const encoded = codec.encode(message);
  expect(encoded.ok && codec.decode(encoded.bytes)).toEqual({ ok: true, message });
}, 60_000);
