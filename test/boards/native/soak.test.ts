/**
 * The base under what a field does to it: an hour of greenhouse on the emulated Pico (a day in test:deep) with cut links, resets, power
 * cuts (some in the middle of a flash operation) and traps. Nothing is lost beyond what is stated, and RAM stays what the build said.
 */
import { expect, test } from "vitest";
import { seededRandom } from "../../../host/world/random.ts";
import { ERRORS } from "../../../protocols/table.ts";
import { nativeBuild, PICO, picoTarget } from "../../support/boards/pico-target.ts";
import { type Sequenced, StreamRig } from "../../support/boards/stream-rig.ts";
import { word12 } from "../../support/boards/target.ts";

const APP = "test/fixtures/apps/greenhouse-trap/app.ts";
const DEEP = process.env.TARDIGRADE_DEEP === "1";
const HOURS = DEEP ? 24 : 1;
const SAMPLE_US = 1_000_000;
/** The boot ROM copies the second stage there. */
const BOOT2_COPY = 0x41f00;
const BOOT2_BYTES = 256;

/** How each boot ended: when by its own clock, and whether its RAM was kept. */
interface Ended {
  readonly uptimeUs: number;
  readonly kept: boolean;
}

test(`${HOURS} h of link cuts, resets, power cuts and traps`, async () => {
  const random = seededRandom(DEEP ? process.pid : 5);
  let cutNext = false;
  const board = await picoTarget({
    app: APP,
    series: [0, 1].map((channel) =>
      Array.from({ length: 997 }, (_, read) => word12(0.5 + 0.1 * Math.sin(read / 40 + channel))),
    ),
    onFlashOperation: () => {
      if (!cutNext) return undefined;
      cutNext = false;
      return (["cut-before", "cut-during", "cut-after"] as const)[random.below(3)];
    },
  });
  const { pico } = board;
  const rig = new StreamRig(board);
  const ended = new Map<number, Ended>();
  let bootedUs = 0;
  let traps = 0;
  const counts = { cuts: 0, resets: 0, powerCuts: 0, flashCuts: 0, traps: 0 };
  const endBoot = (kept: boolean): void => {
    const boot = rig.hello?.boot;
    // A boot that ended before it said hello said nothing that could be lost.
    if (boot !== undefined) ended.set(boot, { uptimeUs: pico.nowUs - bootedUs, kept });
    bootedUs = pico.nowUs;
  };
  let pristine = new Uint8Array(0);
  const powerUp = async (): Promise<void> => {
    await board.powerOn();
    // Noise, in which what was written shows.
    pristine = Uint8Array.from(pico.ramImage());
    bootedUs = pico.nowUs;
  };

  await powerUp();
  await rig.open();
  const endMs = HOURS * 3_600_000;
  while (board.nowMs() < endMs) {
    await rig.run(20_000 + random.below(60_000));
    const what = random.below(6);
    if (what <= 1) {
      counts.cuts += 1;
      rig.connected = false;
      await rig.run(1000 + random.below(what === 0 ? 20_000 : 240_000));
      rig.connected = true;
    } else if (what === 2) {
      counts.resets += 1;
      endBoot(true);
      await board.reset();
    } else if (what === 3) {
      counts.powerCuts += 1;
      endBoot(false);
      await board.powerCut();
      await powerUp();
    } else if (what === 4) {
      // The next boot writes its number into the journal: there the power goes.
      counts.flashCuts += 1;
      endBoot(true);
      cutNext = true;
      await board.reset();
      await rig.run(500, () => pico.state === "off");
      expect(pico.state).toBe("off");
      const boot = [...ended.keys()].at(-1) as number;
      ended.set(boot, { ...(ended.get(boot) as Ended), kept: false });
      await powerUp();
    } else if (rig.received.length > 0 && (await rig.run(20_000, () => rig.link.unreceipted === 0))) {
      counts.traps += 1;
      const { code } = await rig.command("trap");
      expect(code).toBe(ERRORS.APP_TRAP.number);
      traps += 1;
    }
  }
  // Everything arrives.
  const before = rig.accepted.length;
  await rig.run(60_000, () => rig.accepted.length > before + 5);
  expect(rig.accepted.length).toBeGreaterThan(before + 5);
  expect(Object.values(counts).every((count) => count > 0)).toBe(true);

  for (const [boot, messages] of byBoot(rig.accepted)) checkBoot(boot, messages, ended.get(boot), rig);
  expect(
    rig.accepted.filter((message) => message.kind === "error" && message.code === ERRORS.APP_TRAP.number)
      .length + rig.accepted.filter((message) => message.kind === "drop").length,
  ).toBeGreaterThanOrEqual(Math.min(traps, 1));
  // A frame that a reset or a cut line tore, and no other one, is damaged.
  expect(rig.errors.length).toBeLessThanOrEqual(
    2 * Object.values(counts).reduce((sum, count) => sum + count),
  );
  expect(board.console).toEqual([]);

  // What the build says a base and an app take is all that was ever written.
  const { base, app } = await nativeBuild(APP);
  const ram = pico.ramImage();
  const free: readonly (readonly [number, number])[] = [
    [base.ramBytes, PICO.ram.app.offset],
    [PICO.ram.app.offset + app.ramBytes, BOOT2_COPY],
    [BOOT2_COPY + BOOT2_BYTES, PICO.ram.bytes],
  ];
  for (const [from, to] of free)
    expect(Buffer.compare(ram.subarray(from, to), pristine.subarray(from, to)), `RAM from ${from}`).toBe(0);
  await board.close();
}, 3_600_000);

function byBoot(messages: readonly Sequenced[]): ReadonlyMap<number, readonly Sequenced[]> {
  const boots = new Map<number, Sequenced[]>();
  for (const message of messages) {
    const known = boots.get(message.boot) ?? [];
    known.push(message);
    boots.set(message.boot, known);
  }
  return boots;
}

/** A sample each second from the first to the boot's end, but where a drop record or a trap stands between, or RAM was lost. */
function checkBoot(
  boot: number,
  messages: readonly Sequenced[],
  end: Ended | undefined,
  rig: StreamRig,
): void {
  let last = 0;
  let interrupted = false;
  let trapped = false;
  for (const message of messages) {
    if (message.kind === "drop") interrupted = true;
    if (message.kind === "error" && message.code === ERRORS.APP_TRAP.number) trapped = true;
    if (message.kind !== "telemetry") continue;
    for (const { metric, offsetUs } of message.readings) {
      if (metric !== 0) continue;
      const at = message.uptimeUs + offsetUs;
      const gap = at - last;
      if (trapped && !interrupted) expect(gap, `boot ${boot} at ${at}`).toBeLessThan(2 * SAMPLE_US + 50_000);
      else if (!interrupted) expect(gap, `boot ${boot} at ${at}`).toBe(SAMPLE_US);
      last = at;
      interrupted = false;
      trapped = false;
    }
  }
  if (end === undefined || interrupted) return;
  const missing = end.uptimeUs - last;
  if (end.kept) expect(missing, `boot ${boot} ended at ${end.uptimeUs}`).toBeLessThan(2 * SAMPLE_US);
  else if (missing >= 2 * SAMPLE_US)
    expect(
      rig.of("hello").some((hello) => hello.lostBoot === boot),
      `boot ${boot} lost ${missing} us and no hello says so`,
    ).toBe(true);
}
