/** How every board stamps what it says (docs/protocol.md, Stamps), by the same app as the board suite. */
import { afterEach, describe, expect, test } from "vitest";
import { ERRORS } from "../../protocols/table.ts";
import { type Sequenced, StreamRig } from "../support/boards/stream-rig.ts";
import type { TargetBoard } from "../support/boards/target.ts";
import { type BoardSuite, CONFORM_APP } from "./board-suite.ts";

const WALL_MS = 1_795_000_000_000;
const HOUR_MS = 3_600_000;
const ms = (stamp: bigint | undefined) => Number((stamp ?? 0n) >> 16n);
const stampAt = (wallMs: number, counter = 0) => (BigInt(wallMs) << 16n) | BigInt(counter);

export function stampSuite(suite: BoardSuite): void {
  describe(`${suite.name} stamps`, () => {
    const opened: TargetBoard[] = [];
    afterEach(async () => {
      for (const board of opened.splice(0)) await board.close();
    });
    const start = async (time: StreamRig["time"]): Promise<StreamRig> => {
      const board = await suite.open({ app: CONFORM_APP });
      opened.push(board);
      const rig = new StreamRig(board);
      rig.time = time;
      await board.powerOn();
      await rig.open();
      return rig;
    };
    /** Lets it say some more, and gives what it made then. */
    const spoken = async (rig: StreamRig): Promise<readonly Sequenced[]> => {
      const from = rig.accepted.length;
      await rig.command("burst", { lines: 3 });
      const lines = () => rig.accepted.slice(from).filter(({ kind }) => kind === "log");
      expect(await rig.until(3000, () => lines().length >= 3)).toBe(true);
      return lines();
    };
    const stampsOf = (messages: readonly Sequenced[]): bigint[] => {
      for (const { hlc } of messages) expect(hlc).toBeDefined();
      return messages.map(({ hlc }) => hlc as bigint);
    };
    const expectRising = (stamps: readonly bigint[]) => {
      for (const [index, stamp] of stamps.entries())
        if (index > 0) expect(stamp).toBeGreaterThan(stamps[index - 1] as bigint);
    };

    test("nothing before it is told the time, then everything, near the wall clock it was told", async () => {
      const rig = await start({ wallMs: 0 });
      const before = await spoken(rig);
      expect(before.map(({ hlc }) => hlc)).toEqual(before.map(() => undefined));
      expect(rig.of("shadow")[0]?.hlc).toBeUndefined();
      const startedMs = rig.board.nowMs();
      await rig.greetAgain({ wallMs: WALL_MS });
      const stamps = stampsOf(await spoken(rig));
      // Where its time is the wall's, how long this took is anybody's guess.
      const slackMs = rig.board.patienceMs === undefined ? 1 : HOUR_MS;
      expect(ms(stamps[0])).toBeGreaterThanOrEqual(WALL_MS);
      expect(ms(stamps.at(-1))).toBeLessThanOrEqual(WALL_MS + rig.board.nowMs() - startedMs + slackMs);
      expect(ms(rig.of("shadow").at(-1)?.hlc)).toBeGreaterThanOrEqual(WALL_MS);
      expect(ms((await rig.command("runs")).hlc)).toBeGreaterThanOrEqual(WALL_MS);
      // An acknowledgement that has the time sets it.
      const { boot, seq } = rig.accepted.at(-1) as Sequenced;
      rig.send({ kind: "durableAck", boot, seq, wallMs: WALL_MS + HOUR_MS });
      expect(ms(stampsOf(await spoken(rig))[0])).toBeGreaterThanOrEqual(WALL_MS + HOUR_MS);
    });

    test("the time is taken from the welcome of its session alone, and from no other message", async () => {
      const rig = await start({ wallMs: 0 });
      const { hello } = rig;
      if (hello === undefined) throw new Error("it did not greet");
      const welcome = {
        kind: "welcome",
        boot: 0,
        seq: 0,
        window: 8,
        wallMs: WALL_MS,
        hlc: stampAt(WALL_MS),
      } as const;
      rig.send({ ...welcome, session: (hello.session ^ 1) >>> 0, code: 0 });
      rig.send({ ...welcome, session: hello.session, code: ERRORS.DEVICE_LIMIT.number });
      // What comes back from a line that echoes.
      rig.send({ ...hello, oldestBoot: 7 });
      rig.send({ kind: "event", boot: 1, seq: 1, uptimeUs: 1, name: "echo", severity: 0, value: 42 });
      const answer = await rig.command("runs", {}, { hlc: stampAt(WALL_MS) });
      expect(answer.hlc).toBeUndefined();
      const spokenNow = await spoken(rig);
      expect(spokenNow.map(({ hlc }) => hlc)).toEqual(spokenNow.map(() => undefined));
      const drifts = rig.accepted.filter(
        ({ kind, ...more }) => kind === "error" && "code" in more && more.code === ERRORS.CLOCK_DRIFT.number,
      );
      expect(drifts).toEqual([]);
    });

    test("the welcome's stamp counts, however far it leads the wall clock that it tells", async () => {
      const lead = stampAt(WALL_MS + HOUR_MS, 5);
      const rig = await start({ wallMs: WALL_MS, hlc: lead });
      for (const stamp of stampsOf(await spoken(rig))) expect(stamp).toBeGreaterThan(lead);
    });

    test("rise, and are above the stamps of welcome, command and shadow, though the wall clock is set back an hour", async () => {
      const rig = await start({ wallMs: WALL_MS, hlc: stampAt(WALL_MS + 30_000, 7) });
      const stamps = stampsOf(await spoken(rig));
      expect(stamps[0]).toBeGreaterThan(stampAt(WALL_MS + 30_000, 7));
      const leadMs = ms(stamps.at(-1));
      // Our gateway counts on, as the board does, when its clock is set back.
      const gateway = (stamps.at(-1) as bigint) + 100n;
      await rig.greetAgain({ wallMs: WALL_MS - HOUR_MS, hlc: gateway });
      stamps.push(...stampsOf(await spoken(rig)));
      expect(stamps[3]).toBeGreaterThan(gateway);
      const command = (stamps.at(-1) as bigint) + 1000n;
      const answer = await rig.command("burst", { lines: 1 }, { hlc: command });
      expect(answer.hlc).toBeGreaterThan(command);
      stamps.push(...stampsOf(await spoken(rig)));
      const shadow = (stamps.at(-1) as bigint) + 1000n;
      const reports = rig.of("shadow").length;
      rig.send({ kind: "shadow", role: 0, version: 3, entries: [{ key: "level", value: 1 }], hlc: shadow });
      expect(await rig.until(3000, () => rig.of("shadow").length > reports)).toBe(true);
      expect(rig.of("shadow").at(-1)?.hlc).toBeGreaterThan(shadow);
      stamps.push(...stampsOf(await spoken(rig)));
      expectRising(stamps);
      // Nothing but a counter rose.
      expect(ms(stamps.at(-1))).toBe(leadMs);
      expect(rig.accepted.filter(({ kind }) => kind === "error")).toEqual([]);
    });

    test("are not dragged along by one more than a minute ahead: the command runs, the board tells of it", async () => {
      const rig = await start({ wallMs: WALL_MS });
      const wrong = stampAt(WALL_MS + HOUR_MS);
      const answer = await rig.command("runs", {}, { hlc: wrong });
      expect(answer).toMatchObject({ code: 0, result: 1 });
      expect(answer.hlc).toBeLessThan(wrong);
      const drifts = () =>
        rig.accepted.filter(
          (message) => message.kind === "error" && message.code === ERRORS.CLOCK_DRIFT.number,
        );
      expect(await rig.until(3000, () => drifts().length === 1)).toBe(true);
      expect(stampsOf(await spoken(rig)).at(-1)).toBeLessThan(wrong);
    });

    test("begin anew with a boot, above what its welcome says", async () => {
      const rig = await start({ wallMs: WALL_MS });
      await spoken(rig);
      const boot = rig.hello?.boot ?? 0;
      const hlc = stampAt(WALL_MS + 5000, 3);
      rig.time = { wallMs: WALL_MS, hlc };
      await rig.board.reset();
      expect(await rig.until(20_000, () => rig.hello?.boot === boot + 1)).toBe(true);
      const own = () => rig.accepted.filter((message) => message.boot === boot + 1);
      expect(await rig.until(20_000, () => own().length > 0)).toBe(true);
      // What its set-up said.
      expect(own()[0]?.hlc).toBeUndefined();
      for (const stamp of stampsOf(await spoken(rig))) expect(stamp).toBeGreaterThan(hlc);
    });
  });
}
