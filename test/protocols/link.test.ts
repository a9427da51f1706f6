/** The host's side of the serial link against the firmware's own, over a line that loses, corrupts and cuts bytes. */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { VirtualBoard } from "../../boards/simulators/virtual/board.ts";
import { SimulatedClock } from "../../host/world/clock.ts";
import { seededRandom } from "../../host/world/random.ts";
import { decodeFrame, encodeFrame } from "../../protocols/frame.ts";
import { StreamLink } from "../../protocols/link.ts";
import { decodeMessage, encodeMessage } from "../../protocols/message.ts";
import type { Hello, Message } from "../../protocols/messages.generated.ts";
import { LIMITS } from "../../protocols/table.ts";
import { builtApp, systemModule } from "../support/board-rig.ts";

const GREENHOUSE = "firmware/apps/greenhouse/app.ts";
const LINE_MS = 2;

interface Line {
  readonly board: VirtualBoard;
  readonly clock: SimulatedClock;
  readonly host: StreamLink;
  readonly received: Message[];
  readonly errors: string[];
  /** Share of writes that arrive damaged, lost or cut. */
  fault: number;
  send(message: Message): boolean;
}

/** A board on a stream, a host that welcomes and acknowledges, and a line between them. */
async function serialLine(seed: number, fault: number): Promise<Line> {
  const clock = new SimulatedClock();
  const random = seededRandom(seed);
  const built = await builtApp(GREENHOUSE);
  const received: Message[] = [];
  const errors: string[] = [];
  const damage = (bytes: Uint8Array): Uint8Array => {
    if (random.unit() >= line.fault) return bytes;
    const copy = bytes.slice(
      0,
      random.unit() < 0.3 ? Math.floor(random.unit() * bytes.length) : bytes.length,
    );
    const at = Math.floor(random.unit() * copy.length);
    if (random.unit() < 0.7 && copy.length > 0) copy[at] = (copy[at] as number) ^ (1 << (random.u32() & 7));
    return random.unit() < 0.3 ? new Uint8Array(0) : copy;
  };
  let durable = { boot: 0, seq: 0 };
  const host = new StreamLink({
    send: (bytes) => {
      const arrived = damage(bytes);
      clock.alarm(LINE_MS, () => board.receive(arrived));
      return true;
    },
    deliver: (bytes) => {
      const decoded = decodeMessage(bytes);
      if (!decoded.ok) throw new Error(decoded.code);
      const { message } = decoded;
      received.push(message);
      if (message.kind === "hello") {
        line.send({ kind: "welcome", session: message.session, code: 0, ...durable, window: 16, wallMs: 0 });
      } else if ("seq" in message && message.kind !== "durableAck") {
        durable = { boot: message.boot, seq: message.seq };
        line.send({ kind: "durableAck", ...durable });
      }
    },
    onError: (code) => errors.push(code),
  });
  const board = new VirtualBoard({
    id: "serial",
    system: await systemModule(),
    image: {
      app: await WebAssembly.compile(built.wasm),
      name: "greenhouse",
      version: "1.0.0",
      capabilities: built.capabilities,
    },
    clock,
    random: () => random.u32(),
    link: {
      kind: "stream",
      send: (bytes) => {
        const arrived = damage(bytes);
        clock.alarm(LINE_MS, () => host.receive(arrived, clock.monotonicMs()));
        return true;
      },
    },
    analog: () => 0.5,
  });
  const line: Line = {
    board,
    clock,
    host,
    received,
    errors,
    fault,
    send: (message) => host.enqueue(encodeMessage(message), clock.monotonicMs()),
  };
  const tick = () => {
    host.poll(clock.monotonicMs());
    clock.alarm(50, tick);
  };
  tick();
  return line;
}

/** A minute of faults, a minute without: all that the board had is above the session, in order. */
async function holdsOnceClean(line: Line): Promise<void> {
  line.board.powerOn();
  line.board.setLink(true);
  await line.clock.advance(60_000);
  line.fault = 0;
  await line.clock.advance(60_000);
  const { messagesHeld, sessionOpen, readingsDropped } = line.board.figures();
  expect({ sessionOpen, messagesHeld, readingsDropped }).toEqual({
    sessionOpen: true,
    messagesHeld: 0,
    readingsDropped: 0,
  });
  const firsts = [...new Set(sequences(line.received))];
  expect(firsts).toEqual(firsts.map((_, index) => index + 1));
}

const sequences = (messages: readonly Message[]) =>
  messages.flatMap((message) => ("seq" in message && message.kind !== "durableAck" ? [message.seq] : []));

describe("firmware and host on one serial line", () => {
  test("a clean line: hello, welcome, every message once and in order, receipts empty the window", async () => {
    const line = await serialLine(1, 0);
    line.board.powerOn();
    line.board.setLink(true);
    await line.clock.advance(20_000);
    expect(line.received[0]?.kind).toBe("hello");
    const seen = sequences(line.received);
    expect(seen.length).toBeGreaterThan(8);
    expect(seen).toEqual(seen.map((_, index) => index + 1));
    expect(line.board.figures()).toMatchObject({ sessionOpen: true, messagesHeld: 0, framesDamaged: 0 });
    expect(line.host.unreceipted).toBe(0);
    expect(line.errors).toEqual([]);
  });

  test("a welcome after a frame that was cut short is read", async () => {
    const line = await serialLine(4, 0);
    line.board.powerOn();
    line.board.setLink(true);
    // The beginning of a frame whose end the line lost.
    line.board.receive(Uint8Array.of(9, 1, 2, 3));
    await line.clock.advance(500);
    expect(line.board.figures()).toMatchObject({ sessionOpen: true, framesDamaged: 1 });
  });

  test("a random line that once lost its welcome", async () => {
    const line = await serialLine(3, 0.07226751837879421);
    await holdsOnceClean(line);
  });

  test("commands and shadows travel down in order", async () => {
    const line = await serialLine(2, 0);
    line.board.powerOn();
    line.board.setLink(true);
    await line.clock.advance(500);
    for (let id = 1; id <= 20; id += 1) {
      expect(line.send({ kind: "command", id, name: "water", args: [{ key: "seconds", value: id }] })).toBe(
        true,
      );
    }
    await line.clock.advance(5_000);
    const answered = line.received.flatMap((message) =>
      message.kind === "commandResult" ? [message.id] : [],
    );
    expect(answered).toEqual(Array.from({ length: 20 }, (_, index) => index + 1));
  });

  test("a receiver without room gives no credits, and nothing is lost when it has room again", async () => {
    const line = await serialLine(3, 0);
    line.board.powerOn();
    line.board.setLink(true);
    await line.clock.advance(3_000);
    line.host.setHold(true);
    line.host.poll(line.clock.monotonicMs());
    const before = sequences(line.received).length;
    await line.clock.advance(4_000);
    expect(sequences(line.received).length).toBe(before);
    line.host.setHold(false);
    await line.clock.advance(10_500);
    const seen = [...new Set(sequences(line.received))];
    expect(seen).toEqual(seen.map((_, index) => index + 1));
    expect(line.board.figures().messagesHeld).toBe(0);
  });

  test("a host that has no session refuses, and one whose queue is full refuses", async () => {
    const line = await serialLine(4, 0);
    expect(line.send({ kind: "durableAck", boot: 1, seq: 1 })).toBe(false);
    line.board.powerOn();
    line.board.setLink(true);
    await line.clock.advance(500);
    line.board.setLink(false);
    let taken = 0;
    while (line.send({ kind: "durableAck", boot: 1, seq: 1 })) taken += 1;
    expect(taken).toBe(64);
  });

  test("any seed of faults: in order above the session, nothing missing once the line is clean", async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.integer({ min: 1, max: 1e6 }),
        fc.double({ min: 0.02, max: 0.4, noNaN: true }),
        async (seed, fault) => {
          await holdsOnceClean(await serialLine(seed, fault));
        },
      ),
      { numRuns: process.env.TARDIGRADE_DEEP ? 1_000 : 40 },
    );
  });
});

test("a receipt for frames that were never sent is ignored", () => {
  const sent: Uint8Array[] = [];
  const link = new StreamLink({ send: (bytes) => sent.push(bytes) > 0, deliver: () => {} });
  expect(link.enqueue(encodeMessage({ kind: "helloRequest", code: 0 }), 0)).toBe(true);
  expect(sent).toHaveLength(1);
  expect(link.poll(0)).toBe(Number.POSITIVE_INFINITY);
  expect(LIMITS.LINK_WINDOW_FRAMES).toBeGreaterThan(1);
});

describe("one side alone", () => {
  const SESSION = 77;
  const hello: Hello = {
    kind: "hello",
    major: 1,
    minor: 0,
    boot: 1,
    session: SESSION,
    uptimeUs: 0,
    oldestBoot: 1,
    oldestSeq: 1,
    board: "virtual",
    app: "a",
    version: "1.0.0",
    reason: 0,
    capabilities: 0,
    metrics: [],
    commands: [],
  };
  const control = (message: Message) =>
    encodeFrame({ type: "control", session: SESSION, number: 0, payload: encodeMessage(message) });
  const heartbeat = control({ kind: "linkReceipt", session: SESSION, received: 0, credits: 8 });

  function host() {
    const sent: { readonly session: number; readonly message: Message }[] = [];
    const frames: boolean[] = [];
    const link = new StreamLink({
      send: (bytes) => {
        // Behind the delimiter that ends what was cut short before it.
        const result = decodeFrame(bytes.subarray(bytes[0] === 0 ? 1 : 0, -1));
        if (!result.ok) throw new Error(result.code);
        const decoded = decodeMessage(result.frame.payload);
        if (!decoded.ok) throw new Error(decoded.code);
        sent.push({ session: result.frame.session, message: decoded.message });
        return true;
      },
      deliver: () => {},
      onFrame: (ofSession) => frames.push(ofSession),
    });
    return { link, sent, frames };
  }

  test("learns a running device's session from any frame and asks in its name", () => {
    const { link, sent, frames } = host();
    link.enqueue(encodeMessage({ kind: "helloRequest", code: 0 }), 0);
    link.receive(heartbeat, 10);
    link.enqueue(encodeMessage({ kind: "helloRequest", code: 0 }), 10);
    expect(sent.map(({ session }) => session)).toEqual([0, SESSION]);
    link.receive(control(hello), 20);
    link.receive(heartbeat, 30);
    expect(frames).toEqual([false, true, true]);
  });

  test("gives credits again at each heartbeat until a frame shows that they arrived", () => {
    const { link, sent } = host();
    link.receive(control(hello), 0);
    link.setHold(true);
    link.poll(1);
    link.setHold(false);
    link.poll(2);
    link.receive(heartbeat, 5000);
    const credits = () =>
      sent.flatMap(({ message }) => (message.kind === "linkReceipt" ? [message.credits] : []));
    expect(credits()).toEqual([0, 8, 8]);
    const payload = encodeMessage({ kind: "pinStatus", boot: 1, uptimeUs: 1, pins: [] });
    link.receive(encodeFrame({ type: "data", session: SESSION, number: 1, payload }), 5001);
    const before = credits().length;
    link.receive(heartbeat, 10_000);
    expect(credits().length).toBe(before);
  });

  test("a wire that was full gets its frames when it is ready, long before a retry", () => {
    let room = 0;
    const wire: Uint8Array[] = [];
    const retries: number[] = [];
    const link = new StreamLink({
      send: (bytes) => {
        if (room === 0) return false;
        room -= 1;
        wire.push(bytes);
        return true;
      },
      deliver: () => {},
      onRetry: (frames) => retries.push(frames),
    });
    link.receive(control(hello), 0);
    for (let seq = 1; seq <= 3; seq += 1) {
      expect(link.enqueue(encodeMessage({ kind: "durableAck", boot: 1, seq }), 1)).toBe(true);
    }
    expect(wire).toHaveLength(0);
    room = 2;
    link.ready(2);
    expect(wire).toHaveLength(2);
    room = 9;
    link.poll(250);
    expect([wire.length, retries]).toEqual([2, []]);
    link.poll(251);
    expect([wire.length, retries]).toEqual([5, [2]]);
  });
});
