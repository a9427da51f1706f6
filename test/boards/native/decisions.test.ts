/** The decision traces of protocols/vectors, replayed by native code on the emulated Cortex-M0+: what Node decides, a device decides. */
import { expect, test } from "vitest";
import { picoTarget } from "../../support/boards/pico-target.ts";
import { StreamRig } from "../../support/boards/stream-rig.ts";
import { digestOf, MACHINE_NAMES, readTraces, type Step } from "../../support/decisions.ts";

const APP = "test/fixtures/apps/decisions/app.ts";
const STEPS_A_COMMAND = 3;
const TWO_32 = 2 ** 32;

test("every trace gives on the Pico what it gives in Node, step by step", async () => {
  const board = await picoTarget({ app: APP });
  const rig = new StreamRig(board);
  await board.powerOn();
  await rig.open();
  for (const { machine, steps } of readTraces()) {
    await rig.command("begin");
    for (let from = 0; from < steps.length; from += STEPS_A_COMMAND) {
      const batch = steps.slice(from, from + STEPS_A_COMMAND);
      const args = batch.flatMap((step, index) => packed(MACHINE_NAMES.indexOf(machine), step, index));
      const answer = await rig.command("replay", { n: batch.length, ...Object.fromEntries(args) });
      const outputs = steps.slice(0, from + batch.length).map((step) => step[4]);
      expect(answer.result, `${machine}, up to step ${from + batch.length}`).toBe(digestOf(outputs));
    }
  }
  await board.close();
}, 300_000);

function packed(machine: number, [operation, a, b, deltaUs]: Step, index: number): [string, number][] {
  return [
    [`x${index}`, (machine * 16 + operation) * TWO_32 + a],
    [`y${index}`, b * TWO_32 + deltaUs],
  ];
}
