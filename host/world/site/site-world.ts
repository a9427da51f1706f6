/**
 * A site in one process and in virtual time: gateways, each alone with its broker, its disk and its boards; boards that run the shipped firmware and
 * an app. One number replays it all.
 *
 * ```
 *   |<----------------- forMs: faults, readings ----------------->|<- heal, everything is sent ->|<- the books ->|
 * ```
 * Checked: no gateway ends but for what its disk does to it; once all is healed every board gets rid of what it holds; and then each message
 * that a board ever numbered stands in its gateway's log once, as it was sent, or the log says that it is missing.
 */
import type { BoardImage } from "../../../boards/simulators/virtual/board.ts";
import { crc32 } from "../../../protocols/crc.ts";
import { SimulatedClock } from "../clock.ts";
import { SimulatedCrash } from "../disk.ts";
import { seededRandom } from "../random.ts";
import { DeviceAccount } from "./account.ts";
import { SimulatedBoard } from "./simulated-board.ts";
import { SimulatedGateway, type Weather } from "./simulated-gateway.ts";
import { CALM, type SiteFault, SiteFaults } from "./site-faults.ts";

export interface SiteWorldOptions {
  readonly seed: number;
  /** Virtual time with faults. */
  readonly forMs: number;
  readonly gateways: number;
  /** Dealt out among the gateways. */
  readonly boards: number;
  readonly faults: readonly SiteFault[];
  /** The firmware, and the app that all boards run. */
  readonly system: WebAssembly.Module;
  readonly image: BoardImage;
  readonly onEvent?: (atMs: number, what: string) => void;
}

export interface SiteWorldReport {
  readonly seed: number;
  /** Absent when nothing was violated. */
  readonly violation?: { readonly atMs: number; readonly what: string };
  readonly virtualMs: number;
  readonly faults: number;
  /** Of gateways. */
  readonly crashes: number;
  /** Stored at the end, once each. */
  readonly messages: number;
  readonly readings: number;
  readonly digest: string;
}

const RESTART_MS = 4_000;
const DRAIN_MS = 180_000;
const CLOCK_DRIFT = 0.01;

export async function runSiteWorld(options: SiteWorldOptions): Promise<SiteWorldReport> {
  return new SiteWorld(options).run();
}

class SiteWorld {
  readonly #options: SiteWorldOptions;
  readonly #clock = new SimulatedClock();
  readonly #random;
  readonly #weather: Weather = { ...CALM };
  readonly #gateways: SimulatedGateway[] = [];
  readonly #boards: SimulatedBoard[] = [];
  readonly #homes = new Map<SimulatedGateway, SimulatedBoard[]>();
  readonly #faults: SiteFaults;
  #violation: { readonly atMs: number; readonly what: string } | undefined;
  #crashes = 0;
  #digest = 0;

  constructor(options: SiteWorldOptions) {
    this.#options = options;
    this.#random = seededRandom(options.seed);
    const [clock, random] = [this.#clock, this.#random];
    const syncMs = random.unit() * 20;
    for (let number = 1; number <= options.gateways; number += 1) {
      const own = random.fork(`gateway ${number}`);
      const gateway: SimulatedGateway = new SimulatedGateway({
        ...{ site: `site-${number}`, clock, random: own, weather: this.#weather, syncMs },
        clockRate: 1 + (own.unit() - 0.5) * 2 * CLOCK_DRIFT,
        onUp: () => {
          for (const board of this.#homes.get(gateway) ?? []) board.connect();
        },
        onEnd: (error) => this.#ended(gateway, error),
      });
      this.#gateways.push(gateway);
      this.#homes.set(gateway, []);
    }
    for (let number = 1; number <= options.boards; number += 1) {
      const gateway = this.#gateways[number % this.#gateways.length] as SimulatedGateway;
      const board = new SimulatedBoard({
        ...{ id: `board-${number}`, system: options.system, image: options.image, clock, gateway },
        random: random.fork(`board ${number}`),
      });
      this.#boards.push(board);
      this.#homes.get(gateway)?.push(board);
    }
    this.#faults = new SiteFaults(
      {
        ...{ clock, random: random.fork("faults"), weather: this.#weather, syncMs },
        ...{ gateways: this.#gateways, boards: this.#boards },
        crash: (gateway, kind) => this.#crash(gateway, kind),
        note: (fault, detail) => this.#note(`${fault}: ${detail}`),
      },
      options.faults,
    );
  }

  async run(): Promise<SiteWorldReport> {
    for (const gateway of this.#gateways) void gateway.start();
    for (const board of this.#boards) board.start();
    this.#faults.start();
    await this.#until(() => false, this.#options.forMs);
    if (this.#violation === undefined) await this.#heal();
    let [messages, readings] = [0, 0];
    if (this.#violation === undefined) {
      for (const gateway of this.#gateways) {
        const records = await this.#settled(gateway.records());
        for (const board of this.#homes.get(gateway) ?? []) {
          const account = new DeviceAccount(records, board.id);
          messages += account.messages;
          readings += account.readings;
          this.#violated(board.judge(account));
        }
      }
    }
    this.#note(`${messages} messages, ${readings} readings`);
    return {
      seed: this.#options.seed,
      ...(this.#violation === undefined ? {} : { violation: this.#violation }),
      virtualMs: Math.round(this.#clock.monotonicMs()),
      faults: this.#faults.count,
      crashes: this.#crashes,
      ...{ messages, readings, digest: (this.#digest >>> 0).toString(16) },
    };
  }

  async #until(condition: () => boolean, limitMs: number): Promise<boolean> {
    const untilMs = this.#clock.monotonicMs() + limitMs;
    const isOver = (): boolean =>
      this.#violation !== undefined || condition() || this.#clock.monotonicMs() >= untilMs;
    // Time goes on to the limit even where nothing else is set.
    this.#clock.alarm(limitMs, () => undefined);
    await this.#clock.runUntil(isOver, { limitMs: limitMs + 1 });
    return condition();
  }

  /** Time goes on until the promise is settled. */
  async #settled<T>(promise: Promise<T>): Promise<T> {
    let isDone = false;
    const mark = (): void => {
      isDone = true;
    };
    promise.then(mark, mark);
    await this.#until(() => isDone, DRAIN_MS);
    return promise;
  }

  #note(what: string): void {
    const atMs = Math.round(this.#clock.monotonicMs());
    this.#digest = crc32(new TextEncoder().encode(`${atMs} ${what}`), this.#digest);
    this.#options.onEvent?.(atMs, what);
  }

  #violated(what: string | undefined): void {
    if (what === undefined || this.#violation !== undefined) return;
    this.#violation = { atMs: Math.round(this.#clock.monotonicMs()), what };
    this.#note(`VIOLATION ${what}`);
  }

  #crash(gateway: SimulatedGateway, kind: "kill" | "power"): void {
    this.#crashes += 1;
    gateway.crash(kind);
    for (const board of this.#homes.get(gateway) ?? []) board.disconnect();
    const { life } = gateway;
    this.#clock.alarm(50 + this.#random.unit() * RESTART_MS, () => {
      if (gateway.life === life) void gateway.start();
    });
  }

  /** As a supervisor sees it: a process that ended is started again. */
  #ended(gateway: SimulatedGateway, error: Error): void {
    const { code } = error as { readonly code?: string };
    if (!(error instanceof SimulatedCrash) && !/^DISK_/.test(code ?? ""))
      this.#violated(`the gateway of ${gateway.site} ended: ${error.message}`);
    this.#note(`the gateway of ${gateway.site} ends: ${code ?? "crash"}`);
    this.#crash(gateway, "kill");
  }

  async #heal(): Promise<void> {
    this.#faults.heal();
    this.#note("healed");
    for (const gateway of this.#gateways) if (!gateway.isUp) void gateway.start();
    // A board whose power is off just now has its app stopped when it is back.
    const isDone = (): boolean => {
      for (const board of this.#boards) board.stopApp();
      return this.#boards.every(({ isDrained }) => isDrained);
    };
    if (!(await this.#until(isDone, DRAIN_MS)) && this.#violation === undefined) {
      const held = this.#boards.filter(({ isDrained }) => !isDrained).map(({ id }) => id);
      this.#violated(`progress: ${held.join(", ")} still held messages ${DRAIN_MS} ms after all was healed`);
    }
    for (const board of this.#boards) if (board.traps > 0) this.#violated(`${board.id}: its app trapped`);
  }
}
