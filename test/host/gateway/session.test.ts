/** The session's rules, one by one, without a gateway around them. */
import { describe, expect, test } from "vitest";
import {
  advance,
  applyHello,
  judge,
  judgeHello,
  mayAskHello,
  mayAskResend,
  newSession,
  type Session,
  synced,
  syncedHello,
} from "../../../host/gateway/session.ts";
import type { Drop, Hello, Telemetry } from "../../../protocols/messages.generated.ts";

let sessions = 0;
function hello(fields: Partial<Hello> = {}): Hello {
  sessions += 1;
  return {
    kind: "hello",
    major: 1,
    minor: 0,
    boot: 1,
    session: sessions,
    uptimeUs: 1000,
    oldestBoot: fields.boot ?? 1,
    oldestSeq: 1,
    board: "b",
    app: "a",
    version: "1",
    reason: 0,
    capabilities: 0,
    metrics: [],
    commands: [],
    ...fields,
  };
}
const telemetry = (seq: number, boot = 1): Telemetry => ({
  kind: "telemetry",
  boot,
  seq,
  uptimeUs: seq * 1000,
  readings: [],
});
const drop = (from: number, seq: number, boot = 1): Drop => ({
  kind: "drop",
  boot,
  seq,
  uptimeUs: 0,
  from,
  readings: 1,
});

function greet(session: Session, message: Hello): ReturnType<typeof judgeHello> {
  const verdict = judgeHello(session, message);
  if (verdict.kind === "accept") applyHello(session, message, verdict, 0);
  return verdict;
}
/** Greeted, with messages up to `seq` of boot 1 accepted. */
function at(seq: number): Session {
  const session = newSession("pot");
  greet(session, hello());
  for (let next = 1; next <= seq; next += 1) advance(session, telemetry(next));
  return session;
}

describe("messages", () => {
  test("only the next in order is accepted", () => {
    const session = at(3);
    expect(judge(session, telemetry(4))).toBe("accept");
    expect(judge(session, telemetry(3))).toBe("duplicate");
    expect(judge(session, telemetry(1))).toBe("duplicate");
    expect(judge(session, telemetry(5))).toBe("gap");
    expect(judge(session, telemetry(1, 0))).toBe("stale");
  });

  test("what is accepted and not yet on disk counts as had", () => {
    const session = at(3);
    expect(session.durableSeq).toBe(0);
    expect(judge(session, telemetry(2))).toBe("duplicate");
  });

  test("a newer boot is never entered by a message", () => {
    const session = at(3);
    expect(judge(session, telemetry(1, 2))).toBe("newerBoot");
    greet(session, hello({ boot: 2 }));
    expect(judge(session, telemetry(1, 2))).toBe("accept");
  });

  test("a drop record covers a range and is judged by its beginning", () => {
    const session = at(3);
    expect(judge(session, drop(4, 9))).toBe("accept");
    expect(judge(session, drop(5, 9))).toBe("gap");
    expect(judge(session, drop(2, 3))).toBe("duplicate");
    expect(judge(session, drop(3, 6))).toBe("overlap");
    expect(judge(session, drop(9, 4))).toBe("invalid");
    expect(judge(session, drop(0, 4))).toBe("invalid");
    expect(judge(session, telemetry(0))).toBe("invalid");
  });

  test("without a hello nothing is accepted", () => {
    expect(judge(newSession("pot"), telemetry(1))).toBe("unknown");
  });

  test("the durable watermark rises with syncs and never falls", () => {
    const session = at(3);
    expect(synced(session, telemetry(2))).toBe(true);
    expect(synced(session, telemetry(1))).toBe(false);
    expect([session.durableBoot, session.durableSeq, session.pendingCount]).toEqual([1, 2, 1]);
    syncedHello(session, { boot: 2, seq: 0 });
    expect([session.durableBoot, session.durableSeq]).toEqual([2, 0]);
    syncedHello(session, { boot: 1, seq: 9 });
    expect(session.durableBoot).toBe(2);
  });

  test("a resend is asked for once, until there is progress or a second has passed", () => {
    const session = at(3);
    expect(mayAskResend(session, 0)).toBe(true);
    expect(mayAskResend(session, 900)).toBe(false);
    expect(mayAskResend(session, 1000)).toBe(true);
    advance(session, telemetry(4));
    expect(mayAskResend(session, 1001)).toBe(true);
    expect([mayAskHello(session, 0), mayAskHello(session, 499), mayAskHello(session, 500)]).toEqual([
      true,
      false,
      true,
    ]);
  });
});

describe("hellos", () => {
  test("another major version is refused, another minor is not", () => {
    expect(judgeHello(newSession("pot"), hello({ major: 2 })).kind).toBe("refuse");
    expect(judgeHello(newSession("pot"), hello({ minor: 9 })).kind).toBe("accept");
  });

  test("an unknown device that lost its power before it was heard: what it lost is a gap", () => {
    const lost = { lostBoot: 2, lostTo: 1024 };
    expect(judgeHello(newSession("d"), hello({ boot: 3, ...lost }))).toMatchObject({
      gaps: [{ boot: 1, from: 1, toBoot: 2, to: 1024, reason: "power-cut" }],
    });
    // Boot 2 is still held: nothing of it is lost.
    const holding = hello({ boot: 3, oldestBoot: 2, oldestSeq: 1, ...lost });
    expect(judgeHello(newSession("d"), holding)).toMatchObject({ gaps: [] });
  });
  test("an unknown device is adopted where it stands, what came before is a gap", () => {
    expect(judgeHello(newSession("pot"), hello())).toMatchObject({ boot: 1, seq: 0, gaps: [] });
    expect(judgeHello(newSession("pot"), hello({ boot: 4, oldestSeq: 9 }))).toMatchObject({
      boot: 4,
      seq: 8,
      gaps: [{ boot: 4, from: 1, toBoot: 4, to: 8, reason: "adopted" }],
    });
  });

  test("a hello that comes twice changes nothing", () => {
    const session = newSession("pot");
    const first = hello();
    greet(session, first);
    advance(session, telemetry(1));
    expect(judgeHello(session, first).kind).toBe("repeat");
  });

  test("a device that still holds what is stored keeps the watermark", () => {
    const session = at(5);
    expect(greet(session, hello({ uptimeUs: 9000, oldestSeq: 2 }))).toMatchObject({ seq: 5, gaps: [] });
    expect(judge(session, telemetry(6))).toBe("accept");
  });

  test("what the device no longer holds and never stated dropped is a gap, and it goes on behind it", () => {
    const session = at(5);
    expect(greet(session, hello({ uptimeUs: 9000, oldestSeq: 9 }))).toMatchObject({
      seq: 8,
      gaps: [{ boot: 1, from: 6, toBoot: 1, to: 8, reason: "missing" }],
    });
    expect(judge(session, telemetry(9))).toBe("accept");
  });

  test("where gateways share a site, another may have stored it", () => {
    const verdict = judgeHello(at(5), hello({ uptimeUs: 9000, oldestSeq: 9 }), { wallMs: 9 });
    expect(verdict).toMatchObject({ seq: 8, gaps: [{ from: 6, to: 8, reason: "elsewhere" }] });
  });

  test("a warm reset drains the older boot first", () => {
    const session = at(5);
    expect(greet(session, hello({ boot: 2, oldestBoot: 1, oldestSeq: 4 }))).toMatchObject({
      boot: 1,
      seq: 5,
    });
    expect(judge(session, telemetry(6))).toBe("accept");
    expect(judge(session, telemetry(1, 2))).toBe("newerBoot");
  });

  test("a power cut states what it may have taken, over all boots since the watermark", () => {
    const session = at(5);
    expect(judgeHello(session, hello({ boot: 2, lostBoot: 1, lostTo: 1024 }))).toMatchObject({
      boot: 2,
      seq: 0,
      gaps: [{ boot: 1, from: 6, toBoot: 1, to: 1024, reason: "power-cut" }],
    });
    expect(judgeHello(session, hello({ boot: 4, lostBoot: 3, lostTo: 1024 }))).toMatchObject({
      gaps: [{ boot: 1, from: 6, toBoot: 3, to: 1024 }],
    });
    // Everything it may have used is stored; or it is of a boot that is behind us; or the device still holds it.
    expect(judgeHello(session, hello({ boot: 2, lostBoot: 1, lostTo: 5 }))).toMatchObject({ gaps: [] });
    expect(judgeHello(session, hello({ boot: 2, lostBoot: 0, lostTo: 50 }))).toMatchObject({ gaps: [] });
    expect(
      judgeHello(session, hello({ boot: 2, oldestBoot: 1, oldestSeq: 6, lostBoot: 1, lostTo: 50 })),
    ).toMatchObject({ gaps: [] });
  });

  test("a boot counter or an uptime that went back is a replaced device", () => {
    const session = at(5);
    session.helloBoot = 3;
    expect(judgeHello(session, hello({ boot: 2 }))).toMatchObject({ replaced: true, boot: 2, seq: 0 });
    const same = at(5);
    same.uptimeUs = 50_000;
    expect(judgeHello(same, hello({ uptimeUs: 10 }))).toMatchObject({ replaced: true, seq: 0 });
    expect(judgeHello(same, hello({ uptimeUs: 60_000 }))).toMatchObject({ replaced: false, seq: 5 });
  });

  test("the durable watermark does not follow a hello before its record is on disk", () => {
    const session = at(2);
    synced(session, telemetry(2));
    greet(session, hello({ boot: 2, lostBoot: 1, lostTo: 99 }));
    expect([session.boot, session.durableBoot, session.durableSeq]).toEqual([2, 1, 2]);
  });
});
