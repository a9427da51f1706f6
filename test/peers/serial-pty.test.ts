/**
 * Real serial ports: a gateway as `tardi gateway run` puts it together, from a configuration, with serialport on one
 * pseudo-terminal; the firmware on a virtual board in real time at the other. Killing socat is the pulled cable.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { VirtualBoard } from "../../boards/simulators/virtual/board.ts";
import { countLog } from "../../host/cli/count-log.ts";
import type { RunningGateway } from "../../host/cli/gateway-run.ts";
import { systemClock } from "../../host/io/clock.ts";
import { systemRandom } from "../../host/io/random.ts";
import type { ByteStream } from "../../host/io/seams.ts";
import { systemSerial } from "../../host/io/serial.ts";
import { builtApp, systemModule } from "../support/board-rig.ts";
import { PtyPair } from "../support/pty-pair.ts";
import { serialGateway } from "../support/serial-gateway.ts";
import { until } from "../support/until.ts";

const DEVICE = "greenhouse-01";
const pair = new PtyPair();
let folder = "";
let running: RunningGateway;
let metrics = "";
let stream: ByteStream | undefined;

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), "tardigrade-serial-"));
  await pair.plug();
  running = await serialGateway(folder, pair.host, DEVICE);
  metrics = `http://127.0.0.1:${running.httpPort}/metrics`;
});
afterEach(async () => {
  stream?.close();
  await pair.close();
  rmSync(folder, { recursive: true, force: true });
});

/** The board's UART: what it sends while nothing is plugged in is gone, and it does not know. */
async function board(): Promise<{ readonly board: VirtualBoard; attach(): Promise<void> }> {
  const built = await builtApp("firmware/apps/greenhouse/app.ts");
  const random = systemRandom();
  let clear = true;
  const made = new VirtualBoard({
    id: DEVICE,
    system: await systemModule(),
    image: {
      app: await WebAssembly.compile(built.wasm),
      name: built.manifest.name,
      version: built.manifest.version,
      capabilities: built.capabilities,
    },
    clock: systemClock(),
    random: () => random.u32(),
    link: {
      kind: "stream",
      send: (bytes) => {
        if (stream === undefined) return true;
        if (!clear) return false;
        clear = stream.write(bytes);
        return true;
      },
    },
    analog: (channel, uptimeUs) => ((channel + 1) * 0.3 + (uptimeUs % 7_000_000) / 1e8) % 1,
  });
  const attach = async (): Promise<void> => {
    const opened = await systemSerial().open(pair.board, { baudRate: 115_200 });
    clear = true;
    opened.onData((bytes) => made.receive(bytes));
    opened.onDrain(() => {
      clear = true;
      made.linkReady();
    });
    opened.onClose(() => {
      if (stream === opened) stream = undefined;
    });
    stream = opened;
  };
  return { board: made, attach };
}

const metric = async (name: string): Promise<number> => {
  const text = await (await fetch(metrics)).text();
  const line = text.split("\n").find((row) => row.startsWith(`${name}{`));
  return Number(line?.split(" ").at(-1) ?? Number.NaN);
};

test("readings are stored; the cable is pulled twice; nothing is lost and nothing stored twice", async () => {
  const { board: virtual, attach } = await board();
  await attach();
  virtual.setLink(true);
  virtual.powerOn();
  const { gateway } = running;
  const readings = () => gateway.device(DEVICE)?.counts.readings ?? 0;
  const state = () => gateway.device(DEVICE)?.state;
  await until("readings are stored", () => readings() >= 3 && state() === "online");

  for (let pull = 0; pull < 2; pull += 1) {
    await pair.unplug();
    await until("the gateway sees it", () => state() === "offline");
    await until("readings wait in the board", () => virtual.figures().messagesHeld >= 3);
    const before = readings();
    await pair.plug();
    await attach();
    await until("the board is heard again", () => state() === "online" && readings() > before);
  }
  const answer = await gateway.command(DEVICE, { name: "water", args: { seconds: 2 } });
  expect(answer).toMatchObject({ state: "acked", result: 2 });

  virtual.pauseApp();
  await until("everything is acknowledged", () => virtual.figures().messagesHeld === 0);
  const { readingsProduced, readingsBatched, readingsDropped, boot } = virtual.figures();
  expect({ readingsBatched, readingsDropped, boot }).toEqual({
    readingsBatched: 0,
    readingsDropped: 0,
    boot: 1,
  });
  expect(await metric("tardigrade_serial_opens_total")).toBe(3);
  expect(gateway.alerts().filter(({ clearedMs }) => clearedMs === undefined)).toEqual([]);
  virtual.powerCut();
  await running.close();
  expect(await countLog(join(folder, "data"))).toMatchObject({
    stored: readingsProduced,
    duplicated: 0,
    dropped: 0,
    possibleGaps: 0,
  });
});
