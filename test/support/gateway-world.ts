/** A gateway on simulated clock, disk and broker, with devices of the protocol's model. */
import { type Gateway, type GatewayOptions, openGateway } from "../../host/gateway/gateway.ts";
import { decodeRecord, type LogRecord } from "../../host/gateway/record.ts";
import { memoryState } from "../../host/store/memory-state.ts";
import { openSegmentLog } from "../../host/store/segment-log.ts";
import type { StateStore } from "../../host/store/state-store.ts";
import {
  SimulatedBroker,
  type SimulatedBrokerOptions,
  type SimulatedClient,
} from "../../host/world/broker.ts";
import { SimulatedClock } from "../../host/world/clock.ts";
import { SimulatedDisk } from "../../host/world/disk.ts";
import { type SeededRandom, seededRandom } from "../../host/world/random.ts";
import { DeviceModel, type DeviceModelOptions } from "./device-model.ts";
import { quietLogger, RecordingMeter } from "./quiet.ts";

export const SITE = "lab";

export class GatewayWorld {
  readonly clock: SimulatedClock;
  readonly random: SeededRandom;
  readonly disk: SimulatedDisk;
  broker: SimulatedBroker;
  meter = new RecordingMeter();
  state: StateStore = memoryState();
  gateway!: Gateway;
  readonly fatal: Error[] = [];
  readonly devices = new Map<string, { readonly model: DeviceModel; client: SimulatedClient }>();

  readonly #brokerOptions: SimulatedBrokerOptions;

  constructor(
    seed = 1,
    options: {
      readonly syncMs?: number;
      readonly dropProbability?: number;
      readonly duplicateProbability?: number;
    } = {},
  ) {
    this.clock = new SimulatedClock();
    this.random = seededRandom(seed);
    this.disk = new SimulatedDisk({
      random: this.random.fork("disk"),
      clock: this.clock,
      syncMs: options.syncMs ?? 0,
    });
    this.#brokerOptions = {
      clock: this.clock,
      random: this.random.fork("broker"),
      dropProbability: options.dropProbability ?? 0,
      duplicateProbability: options.duplicateProbability ?? 0,
    };
    this.broker = new SimulatedBroker(this.#brokerOptions);
  }

  async open(options: Partial<GatewayOptions> = {}): Promise<Gateway> {
    this.gateway = await this.settle(
      openGateway({
        site: SITE,
        disk: this.disk.mount(),
        clock: this.clock,
        random: this.random.fork("gateway"),
        broker: this.broker,
        state: this.state,
        meter: this.meter,
        logger: quietLogger,
        log: { segmentBytes: 64 * 1024 },
        onFatal: (error) => this.fatal.push(error),
        ...options,
      }),
    );
    return this.gateway;
  }

  /** Lets simulated time pass until the promise is settled. */
  async settle<T>(promise: Promise<T>): Promise<T> {
    let done = false;
    const mark = (): void => {
      done = true;
    };
    promise.then(mark, mark);
    for (let turn = 0; turn < 100_000 && !done; turn += 1) await this.clock.advance(1);
    return promise;
  }

  async device(id: string, options: Partial<DeviceModelOptions> = {}): Promise<DeviceModel> {
    const client = this.broker.connect({ clientId: id });
    const model = new DeviceModel({
      id,
      send: (payload) => this.devices.get(id)?.client.publish(`tardi/${SITE}/${id}/up`, payload, { qos: 1 }),
      nowMs: () => this.clock.monotonicMs(),
      session: () => this.random.u32(),
      ...options,
    });
    this.devices.set(id, { model, client });
    await client.subscribe(`tardi/${SITE}/${id}/down`, ({ payload }) => model.receive(payload));
    return model;
  }

  /** The gateway's process ends without a word and another starts: broker and devices live on. */
  async crash(kind: "power" | "kill", options: Partial<GatewayOptions> = {}): Promise<Gateway> {
    if (kind === "power") this.disk.powerCut();
    else this.disk.kill();
    this.state = memoryState();
    const broker = new SimulatedBroker(this.#brokerOptions);
    // The old process's subscriptions and publishes go nowhere.
    await this.broker.close();
    this.broker = broker;
    for (const [id, device] of this.devices) {
      device.client = broker.connect({ clientId: id });
      await device.client.subscribe(`tardi/${SITE}/${id}/down`, ({ payload }) =>
        device.model.receive(payload),
      );
      device.model.disconnect();
    }
    for (let attempt = 0; ; attempt += 1) {
      try {
        await this.open(options);
        break;
      } catch (error) {
        // It may die again while it starts.
        if (attempt > 20) throw error;
        this.disk.kill();
        this.state = memoryState();
      }
    }
    for (const { model } of this.devices.values()) model.connect();
    return this.gateway;
  }

  text(topic: string): string | undefined {
    const payload = this.broker.retained(topic);
    return payload === undefined ? undefined : new TextDecoder().decode(payload);
  }

  json(topic: string): Record<string, unknown> {
    return JSON.parse(this.text(topic) ?? "null") as Record<string, unknown>;
  }

  /** Everything in the log, read by nobody but the test. Closes the gateway. */
  async records(): Promise<(LogRecord & { readonly offset: number })[]> {
    await this.settle(this.gateway.close());
    const log = await this.settle(
      openSegmentLog({ disk: this.disk.mount(), folder: "log", clock: this.clock, segmentBytes: 64 * 1024 }),
    );
    const all: (LogRecord & { readonly offset: number })[] = [];
    let next = log.start;
    while (next < log.syncedEnd) {
      const page = await log.read(next, 1024 * 1024);
      if (page.records.length === 0) break;
      for (const { offset, payload } of page.records) all.push({ ...decodeRecord(payload), offset });
      next = page.next;
    }
    await this.settle(log.close());
    return all;
  }
}
