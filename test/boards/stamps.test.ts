/**
 * Two boards of the shipped firmware and a gateway, in simulated time, with commands and shadows between them, cut links, resets, restarts of the gateway and a wall clock
 * that is set: a cause has the smaller stamp always, and no stamp leads the highest wall clock that anybody had by then.
 */
import { expect, test } from "vitest";
import { VirtualBoard } from "../../boards/simulators/virtual/board.ts";
import { AHEAD_MS, COUNT_MS } from "../../host/gateway/stamps.ts";
import { seededRandom } from "../../host/world/random.ts";
import { decodeMessage } from "../../protocols/message.ts";
import type { Message } from "../../protocols/messages.generated.ts";
import { ERRORS } from "../../protocols/table.ts";
import { builtApp, systemModule } from "../support/board-rig.ts";
import { GatewayWorld, SITE } from "../support/gateway-world.ts";

const DEEP = process.env.TARDIGRADE_DEEP === "1";
const GREENHOUSE = "firmware/apps/greenhouse/app.ts";
const ms = (stamp: bigint) => Number(stamp >> 16n);

/** What passed a board's link, in order: what it heard, and what it said for the first time. */
interface Passed {
  readonly way: "up" | "down";
  readonly message: Message;
  readonly uptimeUs: number;
  /** The highest wall clock that anybody can have by then: that of the gateway at any time before, counted on since. */
  readonly wallMsMax: number;
}

class Site {
  readonly world: GatewayWorld;
  readonly boards = new Map<string, { readonly board: VirtualBoard; readonly passed: Passed[] }>();
  kills = 0;
  /** Wall clock less monotonic time: at first, and the highest so far. */
  readonly #offsetMs: number;
  #offsetMsMax: number;
  constructor(seed: number) {
    this.world = new GatewayWorld(seed, { syncMs: 2 });
    const { clock } = this.world;
    this.#offsetMs = clock.wallMs() - clock.monotonicMs();
    this.#offsetMsMax = this.#offsetMs;
  }

  async add(id: string): Promise<void> {
    const { world } = this;
    const built = await builtApp(GREENHOUSE);
    const passed: Passed[] = [];
    const note = (way: Passed["way"], bytes: Uint8Array) => {
      const decoded = decodeMessage(bytes);
      if (!decoded.ok) throw new Error(decoded.code);
      const uptimeUs = (world.clock.monotonicMs() - (this.#bornMs.get(id) ?? 0)) * 1000;
      passed.push({
        way,
        message: decoded.message,
        uptimeUs,
        wallMsMax: world.clock.monotonicMs() + this.#offsetMsMax,
      });
    };
    const board = new VirtualBoard({
      id,
      system: await systemModule(),
      image: {
        app: await WebAssembly.compile(built.wasm),
        name: built.manifest.name,
        version: built.manifest.version,
        capabilities: built.capabilities,
      },
      clock: world.clock,
      random: () => world.random.u32(),
      link: {
        kind: "message",
        send: (bytes) => {
          note("up", bytes);
          this.#clients.get(id)?.publish(`tardi/${SITE}/${id}/up`, bytes, { qos: 1 });
          return true;
        },
      },
    });
    this.boards.set(id, { board, passed });
    this.#note.set(id, note);
    await this.attach(id);
    this.born(id);
    board.powerOn();
    board.setLink(true);
  }

  readonly #clients = new Map<string, ReturnType<GatewayWorld["broker"]["connect"]>>();
  readonly #note = new Map<string, (way: Passed["way"], bytes: Uint8Array) => void>();
  readonly #bornMs = new Map<string, number>();

  born(id: string): void {
    this.#bornMs.set(id, this.world.clock.monotonicMs());
  }

  async attach(id: string): Promise<void> {
    const client = this.world.broker.connect({ clientId: id });
    this.#clients.set(id, client);
    await client.subscribe(`tardi/${SITE}/${id}/down`, ({ payload }) => {
      this.#note.get(id)?.("down", payload);
      this.boards.get(id)?.board.receive(payload);
    });
  }

  /** Sets the gateway's wall clock, so far off as given. */
  setWall(offMs: number): void {
    const { clock } = this.world;
    this.#offsetMsMax = Math.max(this.#offsetMsMax, this.#offsetMs + offMs);
    clock.setWallMs(clock.monotonicMs() + this.#offsetMs + offMs);
  }

  /** The gateway is killed and starts again. */
  async kill(): Promise<void> {
    this.kills += 1;
    await this.world.crash("kill");
    for (const [id, { board }] of this.boards) {
      board.setLink(false);
      await this.attach(id);
      board.setLink(true);
    }
  }
}

async function run(seed: number) {
  const random = seededRandom(seed);
  const site = new Site(seed);
  const { world } = site;
  await world.open();
  for (const id of ["one", "two"]) await site.add(id);
  await world.clock.advance(2500);
  const ask = (id: string) => {
    const asked =
      random.u32() % 3 === 0
        ? world.gateway.setDesired(id, { fanOnC: 20 + (random.u32() % 10) })
        : world.gateway.command(id, { name: "water", args: { seconds: 1 } });
    // Whether it is answered is not the question here.
    (asked as Promise<unknown>).catch(() => undefined);
  };
  for (let step = 0; step < 40; step += 1) {
    const [id, other] = random.u32() % 2 === 0 ? ["one", "two"] : ["two", "one"];
    const { board } = site.boards.get(id as string) as { board: VirtualBoard };
    switch (random.u32() % 10) {
      case 0:
        board.setLink(false);
        break;
      case 1:
        board.setLink(true);
        break;
      case 2:
        board.reset("watchdog");
        site.born(id as string);
        break;
      case 3:
        site.setWall((random.u32() % 4000) - 2000);
        break;
      case 4:
        if (random.u32() % 3 !== 0) break;
        await site.kill();
        break;
      default:
        ask(id as string);
        await world.clock.advance(random.u32() % 40);
        ask(other as string);
    }
    await world.clock.advance(random.u32() % 3000);
  }
  for (const { board } of site.boards.values()) board.setLink(true);
  await world.clock.advance(30_000);
  return { site, records: await world.records() };
}

type Stamped = Message & { readonly hlc: bigint };
const isStamped = (message: Message): message is Stamped => "hlc" in message && message.hlc !== undefined;
const isMade = (
  message: Message,
): message is Extract<Message, { readonly kind: "event" | "log" | "error" }> =>
  message.kind === "event" || message.kind === "log" || message.kind === "error";

const isDrift = (message: Message) => message.kind === "error" && message.code === ERRORS.CLOCK_DRIFT.number;

test("cause is below effect, and no stamp leads the highest wall clock of all, in any run", async () => {
  const counts = { records: 0, ofDevices: 0, heard: 0, after: 0, kills: 0, refused: 0, drifts: 0 };
  for (let seed = 1; seed <= (DEEP ? 200 : 20); seed += 1) {
    const { site, records } = await run(seed);
    const bound = (wallMsMax: number) =>
      wallMsMax + (site.kills > 0 ? AHEAD_MS : 0) + site.kills * COUNT_MS + 1;
    counts.kills += site.kills;
    // The gateway: its records rise, and each is above what the device said.
    let last = 0n;
    for (const { stamp, body } of records) {
      expect(stamp).toBeGreaterThan(last);
      last = stamp;
      counts.records += 1;
      if (body.type !== "message" || !isStamped(body.message)) continue;
      counts.ofDevices += 1;
      if (stamp < body.message.hlc) counts.refused += 1;
    }
    for (const { passed } of site.boards.values()) {
      let heard = { stamp: 0n, uptimeUs: 0 };
      let boot = 0;
      const seen = new Map<string, bigint>();
      const made: { readonly seq: number; readonly stamp: bigint }[] = [];
      for (const { way, message, uptimeUs, wallMsMax } of passed) {
        if (message.kind === "hello" && message.boot !== boot) {
          boot = message.boot;
          heard = { stamp: 0n, uptimeUs: 0 };
          made.length = 0;
        }
        if (!isStamped(message)) continue;
        expect(ms(message.hlc)).toBeLessThanOrEqual(bound(wallMsMax));
        if (way === "down") {
          if (message.hlc > heard.stamp) heard = { stamp: message.hlc, uptimeUs };
          counts.heard += 1;
        } else if (message.kind === "commandResult" || message.kind === "shadow") {
          expect(message.hlc).toBeGreaterThan(heard.stamp);
          counts.after += 1;
        } else if ("seq" in message && message.boot === boot && message.kind !== "drop") {
          const known = seen.get(`${message.boot} ${message.seq}`);
          // Sent again, it is what it was.
          if (known !== undefined) expect(message.hlc).toBe(known);
          else made.push({ seq: message.seq, stamp: message.hlc });
          seen.set(`${message.boot} ${message.seq}`, message.hlc);
          if (isMade(message)) counts.drifts += isDrift(message) ? 1 : 0;
          if (!isMade(message) || message.uptimeUs <= heard.uptimeUs) continue;
          expect(message.hlc).toBeGreaterThan(heard.stamp);
          counts.after += 1;
        }
      }
      const inOrder = made.sort((a, b) => a.seq - b.seq).map(({ stamp }) => stamp);
      expect(inOrder).toEqual([...inOrder].sort((a, b) => (a < b ? -1 : 1)));
    }
  }
  expect([counts.refused, counts.drifts]).toEqual([0, 0]);
  expect(counts.ofDevices).toBeGreaterThan(500);
  expect(counts.heard).toBeGreaterThan(200);
  expect(counts.after).toBeGreaterThan(100);
  expect(counts.kills).toBeGreaterThan(3);
});
