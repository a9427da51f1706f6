/** The SDK's placements on the virtual board: what a device says of a key's owner, the host says too. */
import { expect, test } from "vitest";
import { PLACEMENT_APP, placementDigests, REFUSED } from "../support/boards/placement-digests.ts";
import { StreamRig } from "../support/boards/stream-rig.ts";
import { virtualTarget } from "../support/boards/virtual-target.ts";

test("jump, rendezvous, ring and Maglev give on a device the host's owners and deputies, and refuse what the host refuses", async () => {
  const board = await virtualTarget({ app: PLACEMENT_APP });
  const rig = new StreamRig(board);
  await board.powerOn();
  await rig.open();
  const told: unknown[] = [];
  for (const kind of placementDigests().keys()) told.push((await rig.command("owners", { kind })).result);
  expect(told).toEqual(placementDigests());
  expect((await rig.command("refused")).result).toBe(REFUSED);
  await board.close();
}, 60_000);
