/** What Raft costs a Cortex-M0+, for three peers and 64 entries. A build repeats to the byte. */
import { expect, test } from "vitest";
import { buildRaft } from "../../../boards/toolchain/native/raft-image.ts";
import { PICO } from "../../support/boards/pico-target.ts";

test.each([
  ["the example app", "firmware/raft/counter.ts"],
  // Membership, transfer and reads too, which the driver does not call.
  ["all of Raft", "test/fixtures/raft/whole.ts"],
])("%s takes at most 24 KB of flash and 8 KB of state", async (_what, app) => {
  const image = await buildRaft(PICO, app);
  // All of the image: Raft, journal, links and app, and the port's start-up, clocks, UARTs, flash and pins.
  expect(image.flashBytes).toBeLessThanOrEqual(24 * 1024);
  // All of the module's memory: the node with its log, the machine, journal and line buffers, and variables.
  const globals = image.sizes.find(({ name, place }) => name === "module" && place === "ram")?.bytes ?? 0;
  expect(globals).toBeGreaterThan(0);
  expect(image.module.memoryBytes + globals).toBeLessThanOrEqual(8 * 1024);
  // With the stack, and the rings of both lines.
  expect(image.ramBytes).toBeLessThanOrEqual(12 * 1024);
});
