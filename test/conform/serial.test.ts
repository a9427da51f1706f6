/** One suite for every SerialPorts: the machine's on a pair of pseudo-terminals, and the simulated one. */
import { afterEach, describe, expect, test } from "vitest";
import type { ByteStream, SerialPorts } from "../../host/io/seams.ts";
import { systemSerial } from "../../host/io/serial.ts";
import { SimulatedClock } from "../../host/world/clock.ts";
import { seededRandom } from "../../host/world/random.ts";
import { SimulatedSerial } from "../../host/world/serial.ts";
import { PtyPair } from "../support/pty-pair.ts";
import { until } from "../support/until.ts";

interface Subject {
  readonly ports: SerialPorts;
  readonly path: string;
  /** What the other end sent and got. */
  readonly far: { send(bytes: Uint8Array): void; readonly received: number[] };
  plug(): Promise<void>;
  unplug(): Promise<void>;
  /** Lets time pass until it is so. */
  wait(what: string, condition: () => boolean): Promise<void>;
  close(): Promise<void>;
}

const BAUD = { baudRate: 115_200 };

async function real(): Promise<Subject> {
  const pair = new PtyPair();
  const ports = systemSerial();
  const received: number[] = [];
  let far: ByteStream | undefined;
  const plug = async (): Promise<void> => {
    await pair.plug();
    far = await ports.open(pair.board, BAUD);
    far.onData((bytes) => received.push(...bytes));
  };
  await plug();
  return {
    ports,
    path: pair.host,
    far: { send: (bytes) => far?.write(bytes), received },
    plug,
    unplug: () => pair.unplug(),
    wait: until,
    close: async () => {
      far?.close();
      await pair.close();
    },
  };
}

async function simulated(): Promise<Subject> {
  const clock = new SimulatedClock();
  const serial = new SimulatedSerial({ clock, random: seededRandom(5) });
  const line = serial.line("/dev/ttyACM0", { manufacturer: "nobody" });
  const received: number[] = [];
  line.onData((bytes) => received.push(...bytes));
  return {
    ports: serial.ports(),
    path: line.path,
    far: { send: (bytes) => line.send(bytes), received },
    plug: async () => line.plug(),
    unplug: async () => line.unplug(),
    wait: async (_what, condition) => {
      for (let turn = 0; turn < 100_000 && !condition(); turn += 1) await clock.advance(1);
      expect(condition()).toBe(true);
    },
    close: async () => undefined,
  };
}

const counted = (length: number, from = 0): Uint8Array =>
  Uint8Array.from({ length }, (_, index) => (from + index) % 251);

describe.each([
  ["serialport on a pty pair", real],
  ["simulated", simulated],
] as const)("%s", (_name, make) => {
  let subject: Subject | undefined;
  const made = async (): Promise<Subject> => {
    subject = await make();
    return subject;
  };
  afterEach(async () => {
    await subject?.close();
    subject = undefined;
  });

  test("bytes arrive in order, both ways", async () => {
    const { ports, path, far, wait } = await made();
    const near = await ports.open(path, BAUD);
    const received: number[] = [];
    near.onData((bytes) => received.push(...bytes));
    near.write(counted(600));
    far.send(counted(700));
    await wait("all bytes", () => far.received.length === 600 && received.length === 700);
    expect(far.received).toEqual([...counted(600)]);
    expect(received).toEqual([...counted(700)]);
    near.close();
  });

  test("a flood is paced: write says false, drain comes, and nothing is lost", async () => {
    const { ports, path, far, wait } = await made();
    const near = await ports.open(path, BAUD);
    let written = 0;
    let stopped = 0;
    const pour = (): void => {
      while (written < 200_000) {
        const clear = near.write(counted(1000, written));
        written += 1000;
        if (clear) continue;
        stopped += 1;
        return;
      }
    };
    near.onDrain(pour);
    pour();
    await wait("all bytes", () => far.received.length === 200_000);
    expect(stopped).toBeGreaterThan(10);
    expect(far.received.findIndex((byte, index) => byte !== index % 251)).toBe(-1);
    near.close();
  });

  test("a writer that does not stop is cut off", async () => {
    const { ports, path, wait } = await made();
    const near = await ports.open(path, BAUD);
    const ends: unknown[] = [];
    near.onClose((error) => ends.push(error));
    for (let kilobytes = 0; kilobytes < 300; kilobytes += 1) near.write(counted(1024));
    await wait("the end", () => ends.length > 0);
    expect(ends).toEqual([expect.objectContaining({ code: "QUEUE_FULL" })]);
  });

  test("an unplug ends the stream once, and a new one works after it", async () => {
    const { ports, path, far, plug, unplug, wait } = await made();
    const near = await ports.open(path, BAUD);
    const ends: unknown[] = [];
    near.onClose((error) => ends.push(error));
    await unplug();
    await wait("the end", () => ends.length > 0);
    expect(near.write(counted(1))).toBe(false);
    await expect(ports.open(path, BAUD)).rejects.toMatchObject({ code: "SERIAL_OPEN" });
    await plug();
    const again = await ports.open(path, BAUD);
    again.write(counted(3, 7));
    await wait("bytes on the new stream", () => far.received.length === 3);
    expect(ends).toEqual([expect.objectContaining({ code: "SERIAL_LOST" })]);
    again.close();
  });

  test("closing ends it without an error, also for a listener that comes late, and frees the port", async () => {
    const { ports, path, wait } = await made();
    const near = await ports.open(path, BAUD);
    const ends: unknown[] = [];
    near.onClose((error) => ends.push(error));
    near.close();
    near.close();
    await wait("the end", () => ends.length > 0);
    near.onClose((error) => ends.push(error));
    await wait("the late listener's end", () => ends.length > 1);
    expect(ends).toEqual([undefined, undefined]);
    const again = await ports.open(path, BAUD);
    again.close();
  });

  test("a port that is open is not opened again, and one that is absent neither", async () => {
    const { ports, path } = await made();
    const near = await ports.open(path, BAUD);
    await expect(ports.open(path, BAUD)).rejects.toMatchObject({ code: "SERIAL_OPEN" });
    await expect(ports.open(`${path}-absent`, BAUD)).rejects.toMatchObject({ code: "SERIAL_OPEN" });
    near.close();
  });
});
