/**
 * The flash journal on the emulated Pico: values survive power cuts at every erase and program, and while a sector is erased the link
 * is told to wait, so that nothing is lost on the line.
 */
import { expect, test } from "vitest";
import type { FlashCut, FlashOperation } from "../../../boards/simulators/pico/flash.ts";
import { LIMITS } from "../../../protocols/table.ts";
import { CONFORM_APP } from "../../conform/board-suite.ts";
import { picoTarget } from "../../support/boards/pico-target.ts";
import { StreamRig } from "../../support/boards/stream-rig.ts";

/** Flash of a board whose next boot, or soon after, needs a new sector. */
let nearlyFull: Uint8Array | undefined;
const DEEP = process.env.TARDIGRADE_DEEP === "1";

test("an erase while the gateway talks: credits go to zero first, nothing arrives damaged, nothing is lost", async () => {
  const erases: number[] = [];
  const board = await picoTarget({
    app: CONFORM_APP,
    onFlashOperation: (operation) => {
      if (operation.kind === "erase") {
        erases.push(board.pico.nowUs);
        nearlyFull = board.pico.flashImage();
      }
      return undefined;
    },
  });
  const rig = new StreamRig(board);
  await board.powerOn();
  await rig.open();
  // A boot writes a few records; some dozens of boots fill the sector up to where a new one is due.
  const atFirst = erases.length;
  for (let boot = 0; boot < 200 && erases.length === atFirst; boot += 1) {
    rig.credits.length = 0;
    await board.reset();
    const hellos = rig.of("hello").length;
    expect(await rig.run(5000, () => rig.of("hello").length > hellos)).toBe(true);
    // What the reset tore.
    rig.errors.length = 0;
    // Traffic down and up all the while the erase comes.
    for (let round = 0; round < 6; round += 1) expect((await rig.command("runs")).result).toBe(round + 1);
  }
  expect(erases.length).toBe(atFirst + 1);
  const zero = rig.credits.indexOf(0);
  expect(zero).toBeGreaterThanOrEqual(0);
  expect(rig.credits.slice(zero)).toContain(LIMITS.LINK_WINDOW_FRAMES);
  expect(board.pico.overruns(0)).toBe(0);
  expect(rig.errors).toEqual([]);
  await board.close();
});

/** Boots with the power cut at flash operation number `index`, and again without; the boot numbers that were said. */
async function bootsWithCut(
  index: number,
  how: FlashCut,
  flash: Uint8Array | undefined,
): Promise<readonly number[]> {
  let operation = 0;
  const board = await picoTarget({
    app: CONFORM_APP,
    ...(flash ? { flash } : {}),
    onFlashOperation: (_operation: FlashOperation) => {
      operation += 1;
      return operation === index ? how : undefined;
    },
  });
  const rig = new StreamRig(board);
  const boots: number[] = [];
  for (let power = 0; power < 4; power += 1) {
    await board.powerOn();
    const before = rig.of("hello").length;
    await rig.run(400, () => board.pico.state === "off");
    const hello = rig.of("hello").at(-1);
    if (hello !== undefined && rig.of("hello").length > before) boots.push(hello.boot);
    await board.powerCut();
  }
  await board.close();
  return boots;
}

test("the boot counter never goes back, wherever the power goes", async () => {
  // A first boot makes the first sector; one with a sector nearly full makes the next one: erase, values, header, then records.
  const cases = [
    { flash: undefined, least: 1 },
    { flash: nearlyFull as Uint8Array, least: 50 },
  ];
  const indices = DEEP ? Array.from({ length: 24 }, (_, index) => index + 1) : [1, 2, 3, 4, 5, 6, 7, 9];
  for (const { flash, least } of cases) {
    for (const index of indices) {
      for (const how of ["cut-before", "cut-during", "cut-after"] as const) {
        const boots = await bootsWithCut(index, how, flash);
        const what = `${how} at ${index}: ${boots.join(" ")}`;
        expect(boots.length, what).toBeGreaterThanOrEqual(3);
        expect(boots[0], what).toBeGreaterThanOrEqual(least);
        expect(boots, what).toEqual([...new Set(boots)].sort((a, b) => a - b));
      }
    }
  }
});
