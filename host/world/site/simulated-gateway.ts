/** One gateway of a simulated site as a process on a machine, with its embedded broker: both die together, the disk outlives them. */
import { type Gateway, openGateway } from "../../gateway/gateway.ts";
import { decodeRecord, type LogRecord } from "../../gateway/record.ts";
import { memoryState } from "../../store/memory-state.ts";
import { openSegmentLog } from "../../store/segment-log.ts";
import { SimulatedBroker, type SimulatedBrokerOptions } from "../broker.ts";
import type { SimulatedClock } from "../clock.ts";
import { SimulatedDisk } from "../disk.ts";
import type { SeededRandom } from "../random.ts";
import { SkewedClock } from "../skewed-clock.ts";

const SEGMENT_BYTES = 64 * 1024;
const READ_BYTES = 1024 * 1024;
const nothing = (): void => undefined;
const LOGGER = { debug: nothing, info: nothing, warn: nothing, error: nothing };
const METER = { count: nothing, gauge: nothing, duration: nothing };

/** What messages go through at a gateway's broker. */
export interface Weather {
  loss: number;
  duplication: number;
  latencyMs: number;
}

export interface SimulatedGatewayOptions {
  readonly site: string;
  readonly clock: SimulatedClock;
  readonly random: SeededRandom;
  readonly weather: Weather;
  readonly clockRate: number;
  readonly syncMs: number;
  /** It came up: devices may connect. */
  readonly onUp: () => void;
  /** The process ended by itself. */
  readonly onEnd: (error: Error) => void;
}

export class SimulatedGateway {
  readonly site: string;
  readonly disk: SimulatedDisk;
  readonly #options: SimulatedGatewayOptions;
  readonly #brokerOptions: SimulatedBrokerOptions;
  #clock: SkewedClock;
  #broker: SimulatedBroker | undefined;
  #gateway: Gateway | undefined;
  #isStarting = false;
  life = 0;

  constructor(options: SimulatedGatewayOptions) {
    const { site, clock, random, weather } = options;
    this.site = site;
    this.#options = options;
    this.#clock = new SkewedClock(clock, options.clockRate);
    this.disk = new SimulatedDisk({ random: random.fork("disk"), clock });
    this.disk.syncMs = options.syncMs;
    this.#brokerOptions = {
      ...{ clock, random: random.fork("broker") },
      get latencyMs() {
        return weather.latencyMs;
      },
      get dropProbability() {
        return weather.loss;
      },
      get duplicateProbability() {
        return weather.duplication;
      },
    };
  }

  /** Undefined while the gateway is down, or on its way up. */
  get broker(): SimulatedBroker | undefined {
    return this.#gateway === undefined ? undefined : this.#broker;
  }
  get isUp(): boolean {
    return this.#gateway !== undefined;
  }

  async start(): Promise<void> {
    if (this.isUp || this.#isStarting) return;
    this.life += 1;
    const { life } = this;
    const { site, random, clock, clockRate } = this.#options;
    this.#isStarting = true;
    this.#clock = new SkewedClock(clock, clockRate);
    const broker = new SimulatedBroker(this.#brokerOptions);
    this.#broker = broker;
    try {
      const gateway = await openGateway({
        ...{ site, broker, clock: this.#clock, logger: LOGGER, meter: METER },
        disk: this.disk.mount(),
        random: random.fork(`life ${life}`),
        // Empty after each start: all of it is in the log.
        state: memoryState(),
        log: { segmentBytes: SEGMENT_BYTES },
        onFatal: (error) => {
          if (life === this.life) this.#options.onEnd(error);
        },
      });
      if (life !== this.life) return;
      this.#isStarting = false;
      this.#gateway = gateway;
      this.#options.onUp();
    } catch (error) {
      if (life === this.life) this.#options.onEnd(error as Error);
    }
  }

  crash(kind: "kill" | "power"): void {
    this.life += 1;
    this.#isStarting = false;
    const broker = this.#broker;
    this.#gateway = undefined;
    this.#broker = undefined;
    this.#clock.end();
    if (kind === "power") this.disk.powerCut();
    else this.disk.kill();
    void broker?.close();
  }

  jumpWall(ms: number): void {
    this.#clock.jumpWall(ms);
  }

  /** All that the log holds, after an orderly end. */
  async records(): Promise<LogRecord[]> {
    const gateway = this.#gateway;
    this.#gateway = undefined;
    await gateway?.close();
    const { clock } = this.#options;
    const log = await openSegmentLog({
      disk: this.disk.mount(),
      folder: "log",
      clock,
      segmentBytes: SEGMENT_BYTES,
    });
    const records: LogRecord[] = [];
    for (let next = log.start; next < log.syncedEnd; ) {
      const page = await log.read(next, READ_BYTES);
      if (page.records.length === 0) break;
      for (const { payload } of page.records) records.push(decodeRecord(payload));
      next = page.next;
    }
    await log.close();
    return records;
  }
}
