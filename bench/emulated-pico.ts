/** An emulated Pico for measurements: an app's image on it, and a gateway of few lines at its link. */
import { boardNamed, type NativeDefinition } from "../boards/definitions/definition.ts";
import { PicoBoard } from "../boards/simulators/pico/board.ts";
import type { NativeImage } from "../boards/toolchain/native/image.ts";
import { armTools } from "../boards/toolchain/native/tools.ts";
import { StreamLink } from "../protocols/link.ts";
import { decodeMessage, encodeMessage } from "../protocols/message.ts";
import type { Message } from "../protocols/messages.generated.ts";

const STEP_US = 1000;
const ANSWER_MS = 600_000;

export function pico(): NativeDefinition {
  const board = boardNamed("pico");
  if (board.kind !== "native") throw new Error("pico is no native board");
  return board;
}

export async function gccVersion(): Promise<string> {
  const { version } = await armTools();
  return /\d+\.\d+\.\d+/.exec(version)?.[0] ?? version;
}

/** A board, and a gateway of few lines at its link. */
export class EmulatedPico {
  readonly board: PicoBoard;
  readonly #link: StreamLink;
  readonly #received: Message[] = [];
  readonly #out: Uint8Array[] = [];
  #commands = 0;

  constructor(definition: NativeDefinition, base: NativeImage, app: NativeImage) {
    const flash = new Uint8Array(definition.flash.bytes).fill(0xff);
    for (const { offset, bytes } of [base, app]) flash.set(bytes, offset);
    this.board = new PicoBoard({
      flash,
      analog: () => 0.5,
      onUart: (uart, bytes) => {
        if (uart === 0) this.#link.receive(bytes, this.board.nowUs / 1000);
      },
    });
    this.#link = new StreamLink({
      send: (bytes) => {
        this.#out.push(bytes);
        return true;
      },
      deliver: (bytes) => this.#take(bytes),
    });
    this.board.powerOn();
    this.run(5000, () => this.#received.some(({ kind }) => kind === "shadow"));
  }

  get messages(): number {
    return this.#received.length;
  }

  #take(bytes: Uint8Array): void {
    const decoded = decodeMessage(bytes);
    if (!decoded.ok) throw new Error(`the board sent ${decoded.code}`);
    const { message } = decoded;
    this.#received.push(message);
    if (message.kind === "hello")
      this.#send({
        kind: "welcome",
        session: message.session,
        code: 0,
        boot: 0,
        seq: 0,
        window: 8,
        wallMs: 0,
      });
    else if ("seq" in message && "uptimeUs" in message)
      this.#send({ kind: "durableAck", boot: message.boot, seq: message.seq });
  }
  #send(message: Message): void {
    this.#link.enqueue(encodeMessage(message), this.board.nowUs / 1000);
  }

  run(ms: number, until: () => boolean = () => false): void {
    for (let at = 0; at < ms && !until(); at += STEP_US / 1000) {
      this.board.advance(STEP_US);
      this.#link.poll(this.board.nowUs / 1000);
      for (const bytes of this.#out.splice(0)) this.board.receiveUart(0, bytes);
    }
  }

  /** Cycles that the processor executed until it had answered and slept again. */
  command(
    name: string,
    args: Readonly<Record<string, number>>,
  ): { readonly cycles: number; readonly result: number } {
    this.#commands += 1;
    const id = this.#commands;
    this.run(100);
    const before = this.board.cycles;
    const pairs = Object.entries(args).map(([key, value]) => ({ key, value }));
    this.#send({ kind: "command", id, name, args: pairs });
    const answer = () =>
      this.#received.find((message) => message.kind === "commandResult" && message.id === id);
    this.run(ANSWER_MS, () => answer() !== undefined);
    this.run(100);
    const found = answer();
    if (found?.kind !== "commandResult" || typeof found.result !== "number")
      throw new Error(`${name} was not answered`);
    return { cycles: this.board.cycles - before, result: found.result };
  }
}
