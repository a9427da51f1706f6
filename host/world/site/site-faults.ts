/** What goes wrong at a simulated site, and when: drawn from the seed. Everything is undone by heal(). */
import type { SimulatedClock } from "../clock.ts";
import type { SeededRandom } from "../random.ts";
import type { SimulatedBoard } from "./simulated-board.ts";
import type { SimulatedGateway, Weather } from "./simulated-gateway.ts";

export const SITE_FAULTS = [
  "loss",
  "duplication",
  "delay",
  "cut-link",
  "board-reset",
  "board-power-cut",
  "clock-jump",
  "kill",
  "power-cut",
  "crash-in-disk-operation",
  "slow-disk",
  "full-disk",
  "failed-sync",
] as const;
export type SiteFault = (typeof SITE_FAULTS)[number];

/** Mean time between two of a kind: of a link or a board for each ten boards, of the others for each gateway. */
const EVERY_MS: Readonly<Record<SiteFault, number>> = {
  loss: 20_000,
  duplication: 20_000,
  delay: 20_000,
  "cut-link": 6_000,
  "board-reset": 8_000,
  "board-power-cut": 12_000,
  "clock-jump": 20_000,
  kill: 25_000,
  "power-cut": 25_000,
  "crash-in-disk-operation": 25_000,
  "slow-disk": 20_000,
  "full-disk": 40_000,
  "failed-sync": 40_000,
};
const OF_BOARDS: ReadonlySet<SiteFault> = new Set<SiteFault>(["cut-link", "board-reset", "board-power-cut"]);
export const CALM: Weather = { loss: 0, duplication: 0, latencyMs: 1 };

export interface SiteFaultTarget {
  readonly clock: SimulatedClock;
  readonly random: SeededRandom;
  readonly weather: Weather;
  readonly syncMs: number;
  readonly gateways: readonly SimulatedGateway[];
  readonly boards: readonly SimulatedBoard[];
  crash(gateway: SimulatedGateway, kind: "kill" | "power"): void;
  note(fault: SiteFault, detail: string): void;
}

export class SiteFaults {
  readonly #target: SiteFaultTarget;
  readonly #kinds: readonly SiteFault[];
  #running = false;
  count = 0;

  constructor(target: SiteFaultTarget, kinds: readonly SiteFault[]) {
    this.#target = target;
    this.#kinds = kinds;
  }

  start(): void {
    this.#running = true;
    for (const kind of this.#kinds) this.#arm(kind);
  }

  heal(): void {
    this.#running = false;
    const { weather, gateways, boards } = this.#target;
    Object.assign(weather, CALM);
    for (const { disk } of gateways) {
      disk.syncMs = 0;
      disk.capacityBytes = Number.POSITIVE_INFINITY;
      disk.disarm();
    }
    for (const board of boards) board.cutOff(false);
  }

  #arm(kind: SiteFault): void {
    const { clock, random, gateways, boards } = this.#target;
    const many = OF_BOARDS.has(kind) ? Math.max(1, boards.length / 10) : gateways.length;
    clock.alarm((-Math.log(1 - random.unit()) * EVERY_MS[kind]) / many, () => {
      if (!this.#running) return;
      this.count += 1;
      this.#do(kind);
      this.#arm(kind);
    });
  }

  #after(ms: number, call: () => void): void {
    this.#target.clock.alarm(ms, () => {
      if (this.#running) call();
    });
  }

  #do(kind: SiteFault): void {
    const { random, weather, note, crash, boards, gateways, syncMs } = this.#target;
    const lastsMs = 200 + random.unit() * 6_000;
    const gateway = gateways[random.below(gateways.length)] as SimulatedGateway;
    const board = boards[random.below(boards.length)] as SimulatedBoard;
    const change = (changed: Partial<Weather>, back: Partial<Weather>): void => {
      Object.assign(weather, changed);
      this.#after(lastsMs, () => Object.assign(weather, back));
    };
    switch (kind) {
      case "loss":
        note(kind, "some messages");
        change({ loss: 0.02 + random.unit() * 0.3 }, { loss: 0 });
        return;
      case "duplication":
        note(kind, "some messages");
        change({ duplication: 0.05 + random.unit() * 0.3 }, { duplication: 0 });
        return;
      case "delay":
        note(kind, "all messages");
        change({ latencyMs: 20 + random.unit() * 800 }, { latencyMs: CALM.latencyMs });
        return;
      case "cut-link":
        note(kind, board.id);
        board.cutOff(true);
        this.#after(random.unit() * 20_000, () => board.cutOff(false));
        return;
      case "board-reset":
        note(kind, board.id);
        board.reset();
        return;
      case "board-power-cut":
        note(kind, board.id);
        board.powerCut(random.unit() * 5_000);
        return;
      case "clock-jump":
        note(kind, `wall clock of ${gateway.site}`);
        gateway.jumpWall((random.unit() - 0.5) * 7_200_000);
        return;
      case "kill":
      case "power-cut":
        note(kind, gateway.site);
        crash(gateway, kind === "kill" ? "kill" : "power");
        return;
      case "crash-in-disk-operation":
        note(kind, gateway.site);
        gateway.disk.crashAfter(1 + random.below(20), random.chance(0.7) ? "power" : "kill");
        return;
      case "slow-disk":
        note(kind, gateway.site);
        gateway.disk.syncMs = random.unit() * 200;
        this.#after(lastsMs, () => {
          gateway.disk.syncMs = syncMs;
        });
        return;
      case "full-disk":
        note(kind, gateway.site);
        gateway.disk.capacityBytes = gateway.disk.usedBytes;
        this.#after(lastsMs, () => {
          gateway.disk.capacityBytes = Number.POSITIVE_INFINITY;
        });
        return;
      case "failed-sync":
        note(kind, gateway.site);
        gateway.disk.failSyncs(1);
        return;
    }
  }
}
