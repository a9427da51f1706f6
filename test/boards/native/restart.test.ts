/** What restarts the base: a watchdog when an app hangs, a fault of the processor. Both are told, and cost no message. */
import { join } from "node:path";
import { expect, test } from "vitest";
import { PicoBoard } from "../../../boards/simulators/pico/board.ts";
import { buildPeer } from "../../../boards/toolchain/native/image.ts";
import { CAPABILITIES, ERRORS, RESET_REASONS } from "../../../protocols/table.ts";
import { nativeBuild, PICO, picoTarget } from "../../support/boards/pico-target.ts";
import { StreamRig } from "../../support/boards/stream-rig.ts";
import type { TargetBoard } from "../../support/boards/target.ts";

const HANG = "test/fixtures/apps/hang/app.ts";

test("an app that hangs is ended by the watchdog; what was not acknowledged survives", async () => {
  const board = await picoTarget({ app: HANG });
  const rig = new StreamRig(board);
  rig.acknowledge = false;
  await board.powerOn();
  await rig.open();
  rig.send({ kind: "command", id: 1, name: "hang", args: [] });
  expect(await rig.run(20_000, () => rig.hello?.boot === 2)).toBe(true);
  expect(rig.hello).toMatchObject({
    reason: RESET_REASONS.indexOf("watchdog"),
    oldestBoot: 1,
    oldestSeq: 1,
  });
  expect(board.pico.state).toBe("running");
  await board.close();
});

test("a fault of the processor restarts the board, which tells where it was", async () => {
  const { base } = await nativeBuild(HANG);
  const app = await buildPeer(PICO, {
    source: join(import.meta.dirname, "../../firmware/faulty.c"),
    arenaBytes: 64,
    capabilities: 1 << CAPABILITIES.commands,
    flags: ["-O2"],
  });
  const flash = new Uint8Array(PICO.flash.bytes).fill(0xff);
  for (const { offset, bytes } of [base, app]) flash.set(bytes, offset);
  const pico = new PicoBoard({
    flash,
    deliverFaults: true,
    onUart: (uart, bytes) => {
      if (uart === 0) target.onBytes(bytes);
    },
  });
  const target: TargetBoard = {
    name: "pico",
    onBytes: () => {},
    write: (bytes) => pico.receiveUart(0, bytes),
    powerOn: async () => pico.powerOn(),
    powerCut: async () => pico.powerCut(),
    reset: async () => pico.reset("forced"),
    nowMs: () => pico.nowUs / 1000,
    run: async (ms, until) => {
      for (let at = 0; at < ms && !until?.(); at += 1) pico.advance(1000);
    },
    pinLevel: () => undefined,
    close: async () => pico.powerCut(),
  };
  const rig = new StreamRig(target);
  await target.powerOn();
  await rig.open();
  rig.send({ kind: "command", id: 1, name: "fault", args: [] });
  const panics = () =>
    rig.accepted.flatMap((message) =>
      message.kind === "error" && message.code === ERRORS.BOARD_PANIC.number ? [message] : [],
    );
  expect(await rig.run(20_000, () => panics().length > 0)).toBe(true);
  expect(rig.of("hello").at(-1)).toMatchObject({ boot: 2, reason: RESET_REASONS.indexOf("trap") });
  const detail = panics()[0]?.detail ?? 0;
  const address = detail % 2 ** 32;
  // Inside the app's slot: there the load stood.
  expect(address).toBeGreaterThan(PICO.flash.address + app.offset);
  expect(address).toBeLessThan(PICO.flash.address + app.offset + app.flashBytes);
  // Told once.
  await target.reset();
  await rig.run(5000, () => rig.hello?.boot === 3);
  await rig.run(2000);
  expect(panics()).toHaveLength(1);
  await target.close();
});
