/** A GatewayService without a gateway: two devices, answers that tests can steer, and a log of events to replay. */

import type {
  AlertView,
  CommandView,
  DeviceSummary,
  GatewayEvent,
  GatewayService,
  HealthView,
  HistogramView,
  ShadowView,
} from "../../host/gateway/service.ts";
import { TardigradeError } from "../../protocols/error.ts";
import type { Value } from "../../protocols/messages.generated.ts";

export interface FakeService extends GatewayService {
  /** Tells the listeners and keeps the event for those who resume. */
  tell(event: GatewayEvent): void;
  readonly listenerCount: number;
  /** What history() was asked, newest last. */
  readonly queries: Parameters<GatewayService["history"]>[0][];
  readonly commands: { readonly id: string; readonly name: string; readonly timeoutMs?: number }[];
  health_: HealthView;
  alerts_: AlertView[];
  /** Thrown by the next command or history. */
  failure: unknown;
  /** Commands wait until it is called, when set. */
  hold: boolean;
  release(): void;
}

const HISTOGRAM: HistogramView = {
  metric: "sensorReadUs",
  unit: "us",
  app: "latency",
  version: "1.0.0",
  sinceMs: 1_767_225_600_000,
  lastMs: 1_767_225_610_000,
  count: 1000,
  mean: 130,
  min: 90,
  p50: 127,
  p90: 159,
  p99: 191,
  max: 200,
  perSecond: 100,
};

export function device(id: string, more: Partial<DeviceSummary> = {}): DeviceSummary {
  return {
    id,
    state: "online",
    board: "virtual",
    app: "greenhouse",
    version: "1.0.0",
    boot: 3,
    seq: 41,
    lastSeenMs: 1_767_225_600_000,
    metrics: [{ name: "temperature", unit: "Cel", value: 21.5, timeMs: 1_767_225_599_000 }],
    commands: ["identify"],
    pins: [],
    counts: { readings: 100, messages: 41, duplicates: 2, dropped: 0, possibleGaps: 0, errors: 1 },
    ...more,
  };
}

export function readings(offset: number, value = 1, metric = "temperature"): GatewayEvent {
  return { type: "readings", offset, device: "gh-1", readings: [{ metric, timeMs: 1000 + offset, value }] };
}

export function fakeService(): FakeService {
  const devices = new Map([device("gh-2", { state: "offline" }), device("gh-1")].map((it) => [it.id, it]));
  const desired: Record<string, Value> = { fan: true };
  let version = 4;
  const listeners = new Set<(event: GatewayEvent) => void>();
  const history: GatewayEvent[] = [];
  const held: (() => void)[] = [];
  const known = (id: string): void => {
    if (!devices.has(id)) throw new TardigradeError("DEVICE_UNKNOWN", `No device ${id}.`);
  };
  const view = (id: string): ShadowView => ({
    device: id,
    desired: { ...desired },
    reported: {},
    delta: { ...desired },
    version,
    reportedVersion: 0,
  });
  const take = (): void => {
    const { failure } = service;
    service.failure = undefined;
    if (failure !== undefined) throw failure;
  };
  const service: FakeService = {
    queries: [],
    commands: [],
    failure: undefined,
    hold: false,
    release: () => {
      for (const go of held.splice(0)) go();
    },
    alerts_: [],
    health_: { live: true, ready: true, state: "ok", checks: [{ name: "log", ok: true, detail: "synced" }] },
    get listenerCount() {
      return listeners.size;
    },
    tell: (event) => {
      history.push(event);
      for (const listener of listeners) listener(event);
    },
    info: () => ({
      site: "home",
      version: "0.1.0",
      startedMs: 1_767_225_600_000,
      log: { startOffset: 0, syncedOffset: 4096, segments: 1, tornBytes: 0 },
      forwarder: { target: "mqtt://down", connected: true, cursor: 10, backlogBytes: 7, forwarded: 9 },
      totals: {
        devices: devices.size,
        online: 1,
        messages: 41,
        readings: 100,
        duplicates: 2,
        dropped: 0,
        refused: 0,
        commandsSent: 0,
        commandsAcked: 0,
      },
    }),
    health: () => service.health_,
    devices: () => [...devices.values()],
    device: (id) => devices.get(id),
    history: (query) => {
      take();
      service.queries.push(query);
      return [{ timeMs: query.fromMs, value: 20 }];
    },
    deviceHistograms: () => [HISTOGRAM],
    histograms: () => [{ ...HISTOGRAM, sum: 130_000, devices: 1 }],
    shadow: view,
    setDesired: async (id, patch, options) => {
      known(id);
      if (options?.ifVersion !== undefined && options.ifVersion !== version) {
        throw new TardigradeError("SHADOW_VERSION", `The shadow is at version ${version}; read it again.`);
      }
      for (const [name, value] of Object.entries(patch)) {
        if (value === null) delete desired[name];
        else desired[name] = value;
      }
      version += 1;
      return view(id);
    },
    command: async (id, command): Promise<CommandView> => {
      known(id);
      service.commands.push({ id, ...command });
      if (service.hold) await new Promise<void>((resolve) => held.push(resolve));
      take();
      return { device: id, id: 7, name: command.name, state: "acked", sentMs: 1, endedMs: 2 };
    },
    errors: () => [
      {
        code: "FRAME_CRC",
        component: "link",
        severity: "warning",
        recovery: "ignore",
        count: 2,
        perMinute: 2,
        lastMs: 5,
        last: [],
      },
    ],
    alerts: () => service.alerts_,
    events: (listener, options) => {
      listeners.add(listener);
      const { from } = options ?? {};
      if (from !== undefined) for (const event of history) if (event.offset >= from) listener(event);
      return () => listeners.delete(listener);
    },
  };
  return service;
}
