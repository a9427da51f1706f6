/**
 * Native firmware at a real serial port: the emulated Pico at the pace of the clock, its UART on one pseudo-terminal, at the other a
 * gateway as `tardi gateway run` puts it together. Killing socat is the pulled cable.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { PicoBoard } from "../../boards/simulators/pico/board.ts";
import { RealTimePico } from "../../boards/simulators/pico/real-time.ts";
import { flashOf } from "../../boards/toolchain/native/uf2.ts";
import { countLog } from "../../host/cli/count-log.ts";
import { UartSniffer } from "../../host/cli/uart-sniffer.ts";
import { systemClock } from "../../host/io/clock.ts";
import type { ByteStream } from "../../host/io/seams.ts";
import { systemSerial } from "../../host/io/serial.ts";
import { nativeBuild, PICO } from "../support/boards/pico-target.ts";
import { PtyPair } from "../support/pty-pair.ts";
import { serialGateway } from "../support/serial-gateway.ts";
import { until } from "../support/until.ts";

const DEVICE = "pico-01";

test("the cable of an emulated Pico is pulled: nothing is lost, nothing stored twice", async () => {
  const folder = mkdtempSync(join(tmpdir(), "tardigrade-pico-pty-"));
  const pair = new PtyPair();
  await pair.plug();
  const running = await serialGateway(folder, pair.host, DEVICE);
  const sniffer = new UartSniffer();
  let stream: ByteStream | undefined;
  const pico = new RealTimePico(
    new PicoBoard({
      flash: flashOf(PICO, await nativeBuild("firmware/apps/greenhouse/app.ts")),
      analog: (channel, uptimeUs) => ((channel + 1) * 0.3 + (uptimeUs % 7_000_000) / 1e8) % 1,
      onUart: (uart, bytes) => {
        if (uart !== 0) return;
        sniffer.up(bytes);
        stream?.write(bytes);
      },
    }),
    systemClock(),
  );
  const attach = async (): Promise<void> => {
    const opened = await systemSerial().open(pair.board, { baudRate: 115_200 });
    opened.onData((bytes) => {
      sniffer.down(bytes);
      pico.receiveUart(0, bytes);
    });
    opened.onClose(() => {
      if (stream === opened) stream = undefined;
    });
    stream = opened;
  };
  try {
    await attach();
    pico.powerOn();
    const { gateway } = running;
    const readings = () => gateway.device(DEVICE)?.counts.readings ?? 0;
    await until("readings are stored", () => readings() >= 6);
    await pair.unplug();
    await until("the gateway sees it", () => gateway.device(DEVICE)?.state === "offline");
    const before = readings();
    await pair.plug();
    await attach();
    await until("the Pico is heard again", () => readings() > before);
    const answer = await gateway.command(DEVICE, { name: "water", args: { seconds: 2 } });
    expect(answer).toMatchObject({ state: "acked", result: 2 });
    await until("all that it said is acknowledged", () => sniffer.isOpen && sniffer.held === 0);
    pico.freeze();
    expect(gateway.device(DEVICE)).toMatchObject({ board: "pico" });
    await running.close();
    const log = await countLog(join(folder, "data"));
    expect(log).toMatchObject({ stored: sniffer.produced, duplicated: 0, dropped: 0 });
    expect(sniffer.produced).toBeGreaterThan(6);
  } finally {
    pico.freeze();
    stream?.close();
    await pair.close();
    rmSync(folder, { recursive: true, force: true });
  }
});
