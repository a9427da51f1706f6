/** A gateway world with a serial line, and a virtual board in stream mode at its end. */
import { VirtualBoard } from "../../boards/simulators/virtual/board.ts";
import { createBackoff } from "../../host/core/policy/backoff.ts";
import type { GatewayOptions } from "../../host/gateway/gateway.ts";
import type { LogRecord } from "../../host/gateway/record.ts";
import { REOPEN } from "../../host/gateway/serial-link.ts";
import { type SimulatedLine, SimulatedSerial } from "../../host/world/serial.ts";
import { builtApp, systemModule } from "./board-rig.ts";
import { openTestCore } from "./core.ts";
import { GatewayWorld } from "./gateway-world.ts";

export const DEVICE = "greenhouse-01";
export const PORT = "/dev/ttyACM0";

export class SerialWorld extends GatewayWorld {
  readonly serial = new SimulatedSerial({ clock: this.clock, random: this.random.fork("serial") });
  readonly line: SimulatedLine = this.serial.line(PORT);
  board!: VirtualBoard;

  /** What a gateway process needs for the line; each process has its own view of the ports. */
  serialOptions(): Pick<GatewayOptions, "serial" | "log"> {
    return {
      // Small, so that a disk without room is noticed soon.
      log: { segmentBytes: 4096 },
      serial: {
        ports: this.serial.ports(),
        links: [{ port: PORT, baudRate: 115_200, device: DEVICE }],
        backoff: createBackoff({ core: openTestCore(), random: this.random.fork("reopen") }, REOPEN),
      },
    };
  }

  /** The board's UART is always up: nothing tells it whether anybody listens. */
  async powerBoard(): Promise<VirtualBoard> {
    const built = await builtApp("firmware/apps/greenhouse/app.ts");
    const random = this.random.fork("board");
    this.board = new VirtualBoard({
      id: DEVICE,
      system: await systemModule(),
      image: {
        app: await WebAssembly.compile(built.wasm),
        name: built.manifest.name,
        version: built.manifest.version,
        capabilities: built.capabilities,
      },
      clock: this.clock,
      random: () => random.u32(),
      link: { kind: "stream", send: (bytes) => this.line.send(bytes) },
      analog: (channel, uptimeUs) => ((channel + 1) * 0.3 + (uptimeUs % 7_000_000) / 1e8) % 1,
    });
    this.line.onData((bytes) => this.board.receive(bytes));
    this.line.onReady(() => this.board.linkReady());
    this.board.setLink(true);
    this.board.powerOn();
    return this.board;
  }

  /** A warm reset: messages survive it, and the batch that the app had begun becomes one more. */
  resetBoard(): void {
    this.#closedBefore += this.board.figures().readingsProduced;
    this.board.reset("watchdog");
  }
  #closedBefore = 0;

  /** Readings that the board produced and put into messages, over all its boots. */
  get closedReadings(): number {
    const { readingsProduced, readingsBatched } = this.board.figures();
    return this.#closedBefore + readingsProduced - readingsBatched;
  }

  /** kill -9 or a power cut of the gateway's machine; the board lives on. */
  async crashGateway(kind: "power" | "kill"): Promise<void> {
    this.serial.kill();
    await this.crash(kind, this.serialOptions());
  }

  /** Nothing more is produced, and time passes until the board holds nothing. */
  async drain(limitMs = 120_000): Promise<void> {
    this.board.pauseApp();
    const { clock, board } = this;
    const untilMs = clock.monotonicMs() + limitMs;
    const isDone = (): boolean => board.figures().sessionOpen && board.figures().messagesHeld === 0;
    while (!isDone() && clock.monotonicMs() < untilMs) await clock.advance(100);
  }
}

/** What the log says of a device's messages. */
export function accountOf(records: readonly LogRecord[], device: string) {
  const copies = new Map<string, number>();
  let readings = 0;
  let gaps = 0;
  for (const { device: whose, body } of records) {
    if (whose !== device) continue;
    if (body.type === "hello") gaps += body.gaps.length;
    if (body.type === "gap") gaps += 1;
    if (body.type !== "message" || !("seq" in body.message)) continue;
    const { message } = body;
    const key = `${message.boot} ${message.seq}`;
    copies.set(key, (copies.get(key) ?? 0) + 1);
    if (message.kind === "telemetry") readings += message.readings.length;
  }
  return { readings, gaps, stored: copies.size, twice: [...copies].filter(([, count]) => count > 1) };
}
