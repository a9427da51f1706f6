/**
 * A virtual board on a simulated clock, opposite a gateway of few lines that keeps what came and acknowledges when told to.
 * The real gateway has its own tests; this one shows what the firmware does on the wire.
 */
import { join } from "node:path";
import {
  type BoardLink,
  VirtualBoard,
  type VirtualBoardOptions,
} from "../../boards/simulators/virtual/board.ts";
import { type BuiltApp, buildApp, buildSystem } from "../../boards/toolchain/build.ts";
import { SimulatedClock } from "../../host/world/clock.ts";
import { seededRandom } from "../../host/world/random.ts";
import { decodeMessage, encodeMessage } from "../../protocols/message.ts";
import type { Hello, Message } from "../../protocols/messages.generated.ts";

const ROOT = join(import.meta.dirname, "../..");
const apps = new Map<string, Promise<BuiltApp>>();
let system: Promise<WebAssembly.Module> | undefined;

export function builtApp(name: string): Promise<BuiltApp> {
  let app = apps.get(name);
  if (app === undefined) {
    app = buildApp({ path: join(ROOT, name), board: "virtual" });
    apps.set(name, app);
  }
  return app;
}

export function systemModule(): Promise<WebAssembly.Module> {
  system ??= buildSystem().then(({ wasm }) => WebAssembly.compile(wasm));
  return system;
}

export interface Rig {
  readonly board: VirtualBoard;
  readonly clock: SimulatedClock;
  /** Every message that came up, in order, duplicates included. */
  readonly received: Message[];
  readonly traps: unknown[];
  /** Acknowledge each sequenced message as it comes. */
  acknowledge: boolean;
  /** Messages that the link takes before it is full. */
  capacity: number;
  send(message: Message): void;
  of<K extends Message["kind"]>(kind: K): Extract<Message, { kind: K }>[];
  readonly hello: Hello | undefined;
}

export async function boardRig(
  app: string,
  options: {
    readonly analog?: NonNullable<VirtualBoardOptions["analog"]>;
    readonly capabilities?: number;
    readonly window?: number;
  } = {},
): Promise<Rig> {
  const built = await builtApp(app);
  const clock = new SimulatedClock();
  const random = seededRandom(7);
  const received: Message[] = [];
  const traps: unknown[] = [];
  let durable = { boot: 0, seq: 0 };
  const answer = (message: Message): void => {
    if (message.kind === "hello") {
      const { session } = message;
      const window = options.window ?? 8;
      queueMicrotask(() => rig.send({ kind: "welcome", session, code: 0, ...durable, window, wallMs: 0 }));
    } else if (rig.acknowledge && "seq" in message && message.kind !== "durableAck") {
      durable = { boot: message.boot, seq: message.seq };
      const acknowledgement: Message = { kind: "durableAck", ...durable };
      queueMicrotask(() => rig.send(acknowledgement));
    }
  };
  const link: BoardLink = {
    kind: "message",
    send(bytes) {
      if (rig.capacity <= 0) return false;
      rig.capacity -= 1;
      const decoded = decodeMessage(bytes);
      if (!decoded.ok) throw new Error(`the board sent ${decoded.code} at ${decoded.at}`);
      received.push(decoded.message);
      answer(decoded.message);
      return true;
    },
  };
  const board = new VirtualBoard({
    id: "rig",
    system: await systemModule(),
    image: {
      app: await WebAssembly.compile(built.wasm),
      name: built.manifest.name,
      version: built.manifest.version,
      capabilities: options.capabilities ?? built.capabilities,
    },
    clock,
    random: () => random.u32(),
    link,
    onTrap: (error) => traps.push(error),
    ...(options.analog ? { analog: options.analog } : {}),
  });
  const rig: Rig = {
    board,
    clock,
    received,
    traps,
    acknowledge: true,
    capacity: Number.POSITIVE_INFINITY,
    send: (message) => board.receive(encodeMessage(message)),
    of: (kind) => received.filter((message) => message.kind === kind) as never,
    get hello() {
      return received.findLast((message) => message.kind === "hello");
    },
  };
  return rig;
}
