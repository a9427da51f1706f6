/** A virtual board, the shipped firmware and an app, on a simulated site: its link to the gateway's broker, its resets, and what it sent. */
import { type BoardImage, VirtualBoard } from "../../../boards/simulators/virtual/board.ts";
import { deviceTopic } from "../../../protocols/topic.ts";
import type { SimulatedClient } from "../broker.ts";
import type { SimulatedClock } from "../clock.ts";
import type { SeededRandom } from "../random.ts";
import { type DeviceAccount, numbered } from "./account.ts";
import type { SimulatedGateway } from "./simulated-gateway.ts";

/** MQTT's own reconnecting, with some spread. */
const RECONNECT_MS = 500;

export interface SimulatedBoardOptions {
  readonly id: string;
  readonly system: WebAssembly.Module;
  readonly image: BoardImage;
  readonly clock: SimulatedClock;
  readonly random: SeededRandom;
  readonly gateway: SimulatedGateway;
}

export class SimulatedBoard {
  readonly id: string;
  readonly #options: SimulatedBoardOptions;
  readonly #board: VirtualBoard;
  #client: SimulatedClient | undefined;
  #isCutOff = false;
  /** Next number of each boot, at its end. */
  readonly #numbers = new Map<number, number>();
  /** By "boot seq": readings of the message as it was first sent. */
  readonly #sent = new Map<string, number>();

  constructor(options: SimulatedBoardOptions) {
    const { id, system, image, clock, random, gateway } = options;
    this.id = id;
    this.#options = options;
    const topic = deviceTopic(gateway.site, id, "up");
    const sensor = random.fork("sensor");
    this.#board = new VirtualBoard({
      ...{ id, system, image, clock, random: () => random.u32() },
      analog: () => sensor.unit(),
      link: {
        kind: "message",
        send: (bytes) => {
          const client = this.#client;
          if (client === undefined) return false;
          this.#note(bytes);
          client.publish(topic, bytes, { qos: 1 });
          return true;
        },
      },
    });
  }

  start(): void {
    this.#board.powerOn();
    this.connect();
  }

  #note(bytes: Uint8Array): void {
    const message = numbered(bytes);
    if (message === undefined) return;
    const key = `${message.boot} ${message.seq}`;
    if (!this.#sent.has(key)) this.#sent.set(key, message.readings);
  }

  /** Now, when there is somebody to connect to, or as soon as there is. */
  connect(): void {
    const { clock, random } = this.#options;
    if (this.#client !== undefined || this.#isCutOff) return;
    clock.alarm(RECONNECT_MS * (0.2 + random.unit()), () => {
      const { broker, site } = this.#options.gateway;
      if (this.#client !== undefined || this.#isCutOff || broker === undefined) return;
      const client = broker.connect({ clientId: this.id });
      this.#client = client;
      void client.subscribe(deviceTopic(site, this.id, "down"), ({ payload }) => {
        if (client === this.#client) this.#board.receive(payload);
      });
      this.#board.setLink(true);
    });
  }

  /** Its connection is gone. */
  disconnect(): void {
    const client = this.#client;
    this.#client = undefined;
    if (client === undefined) return;
    void client.close();
    this.#board.setLink(false);
  }

  cutOff(isCutOff: boolean): void {
    this.#isCutOff = isCutOff;
    if (isCutOff) this.disconnect();
    else this.connect();
  }

  reset(): void {
    this.#keepNumbers();
    this.disconnect();
    this.#board.reset("watchdog");
    this.connect();
  }

  powerCut(offMs: number): void {
    this.#keepNumbers();
    this.disconnect();
    this.#board.powerCut();
    this.#options.clock.alarm(offMs, () => {
      this.#board.powerOn();
      this.connect();
    });
  }

  /** No new readings; what is held is still sent. */
  stopApp(): void {
    if (this.#board.isPowered) this.#board.pauseApp();
  }

  get isDrained(): boolean {
    const { messagesHeld, sessionOpen } = this.#board.figures();
    return this.#board.isPowered && sessionOpen && messagesHeld === 0;
  }
  get traps(): number {
    return this.#board.figures().traps;
  }

  #keepNumbers(): void {
    const { boot, nextSequence } = this.#board.figures();
    if (boot > 0) this.#numbers.set(boot, nextSequence);
  }

  /** Each number that it used stands in the log once, whole, or the log says that it is missing. Undefined when it is so. */
  judge(account: DeviceAccount): string | undefined {
    this.#keepNumbers();
    for (const [boot, next] of this.#numbers) {
      for (let seq = 1; seq < next; seq += 1) {
        const what = `${this.id}: message ${seq} of boot ${boot}`;
        const copies = account.copies(boot, seq);
        if (copies.length > 1) return `${what} is stored ${copies.length} times`;
        if (copies.length === 0 && !account.isStated(boot, seq)) return `${what} is lost without a word`;
        if (copies.length === 1 && account.isStated(boot, seq))
          return `${what} is stored, and said to be missing`;
        const sent = this.#sent.get(`${boot} ${seq}`);
        if (copies.length === 1 && copies[0] !== sent)
          return `${what} was sent with ${sent} readings and is stored with ${copies[0]}`;
      }
    }
    return undefined;
  }
}
