/** The SDK's placements compiled for the Cortex-M0+, with its arithmetic: the same owners as on the host. */
import { expect, test } from "vitest";
import { picoTarget } from "../../support/boards/pico-target.ts";
import { PLACEMENT_APP, placementDigests, REFUSED } from "../../support/boards/placement-digests.ts";
import { StreamRig } from "../../support/boards/stream-rig.ts";

test("on the emulated Pico every placement gives the host's owners and deputies", async () => {
  const board = await picoTarget({ app: PLACEMENT_APP });
  const rig = new StreamRig(board);
  await board.powerOn();
  await rig.open();
  const told: unknown[] = [];
  for (const kind of placementDigests().keys()) told.push((await rig.command("owners", { kind })).result);
  expect(told).toEqual(placementDigests());
  expect((await rig.command("refused")).result).toBe(REFUSED);
  await board.close();
}, 120_000);
