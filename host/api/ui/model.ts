/** What the page knows, and how an event changes it. Pure: the store (store.ts) brings events and paints. */
import type {
  AlertView,
  CommandView,
  DeviceSummary,
  ErrorView,
  GatewayEvent,
  GatewayInfo,
  HealthView,
  ShadowView,
} from "../../gateway/service.ts";

export type ErrorRow = ErrorView & { readonly help: string };

export interface LogLine {
  readonly timeMs: number;
  readonly severity: string;
  readonly text: string;
}

export interface Session {
  readonly name: string;
  readonly role: "viewer" | "operator" | "admin";
  readonly authentication: boolean;
}

export interface Model {
  readonly devices: Map<string, DeviceSummary>;
  /** Readings counted since the last tick, and a second before it. */
  readonly counting: Map<string, number>;
  readonly rates: Map<string, number>;
  readonly shadows: Map<string, ShadowView>;
  readonly commands: Map<string, CommandView[]>;
  readonly logs: Map<string, LogLine[]>;
  /** What is older is replayed, and no rate of now. */
  countFromMs: number;
  alerts: readonly AlertView[];
  errors: readonly ErrorRow[];
  info: GatewayInfo | undefined;
  health: HealthView | undefined;
}

export const LOG_LINES_MAX = 100;
export const COMMANDS_MAX = 20;

export function newModel(): Model {
  return {
    devices: new Map(),
    counting: new Map(),
    rates: new Map(),
    shadows: new Map(),
    commands: new Map(),
    logs: new Map(),
    countFromMs: 0,
    alerts: [],
    errors: [],
    info: undefined,
    health: undefined,
  };
}

export function apply(model: Model, event: GatewayEvent): void {
  switch (event.type) {
    case "device":
      model.devices.set(event.device.id, event.device);
      return;
    case "readings":
      return applyReadings(model, event);
    case "event":
    case "log":
    case "error": {
      const value = event.value === undefined ? "" : ` ${String(event.value)}`;
      const text =
        event.type === "log"
          ? (event.text ?? "")
          : `${event.name}${value}${event.text ? `: ${event.text}` : ""}`;
      pushFront(
        model.logs,
        event.device,
        { timeMs: event.timeMs, severity: event.severity, text },
        LOG_LINES_MAX,
      );
      return;
    }
    case "shadow":
      model.shadows.set(event.shadow.device, event.shadow);
      return;
    case "command": {
      const { command } = event;
      const others = (model.commands.get(command.device) ?? []).filter(({ id }) => id !== command.id);
      model.commands.set(command.device, [command, ...others].slice(0, COMMANDS_MAX));
      return;
    }
    case "alert":
      model.alerts = [
        event.alert,
        ...model.alerts.filter(
          ({ id, raisedMs }) => id !== event.alert.id || raisedMs !== event.alert.raisedMs,
        ),
      ];
  }
}

function applyReadings(model: Model, event: Extract<GatewayEvent, { type: "readings" }>): void {
  const known = model.devices.get(event.device);
  if (known === undefined) return;
  const fresh = event.readings.filter(({ timeMs }) => timeMs >= model.countFromMs).length;
  model.counting.set(event.device, (model.counting.get(event.device) ?? 0) + fresh);
  const metrics = known.metrics.map((metric) => {
    const newest = event.readings.findLast(({ metric: name }) => name === metric.name);
    if (newest === undefined || newest.timeMs < (metric.timeMs ?? 0)) return metric;
    return { ...metric, value: newest.value, timeMs: newest.timeMs };
  });
  const timeMs = event.readings.at(-1)?.timeMs ?? 0;
  const counts = { ...known.counts, readings: known.counts.readings + event.readings.length };
  model.devices.set(event.device, {
    ...known,
    metrics,
    counts,
    lastSeenMs: Math.max(known.lastSeenMs, timeMs),
  });
}

/** Rates over the time since the last call, smoothed a little. */
export function tick(model: Model, elapsedMs: number): void {
  if (!(elapsedMs > 0)) return;
  for (const id of model.devices.keys()) {
    const rate = ((model.counting.get(id) ?? 0) * 1000) / elapsedMs;
    const before = model.rates.get(id);
    model.rates.set(id, before === undefined ? rate : before + (rate - before) / 4);
  }
  model.counting.clear();
}

function pushFront<T>(lists: Map<string, T[]>, key: string, item: T, most: number): void {
  lists.set(key, [item, ...(lists.get(key) ?? [])].slice(0, most));
}

export interface FleetQuery {
  readonly search: string;
  readonly state: "all" | "online" | "offline";
  readonly group: string;
  readonly sort: SortKey;
  readonly descending: boolean;
}

export type SortKey = "id" | "state" | "app" | "board" | "seen" | "rate" | "dropped" | "errors";

const KEYS: Readonly<Record<SortKey, (device: DeviceSummary, model: Model) => number | string>> = {
  id: ({ id }) => id,
  state: ({ state }) => state,
  app: ({ app, version }) => `${app} ${version}`,
  board: ({ board }) => board,
  seen: ({ lastSeenMs }) => -lastSeenMs,
  rate: ({ id }, { rates }) => rates.get(id) ?? 0,
  dropped: ({ counts }) => counts.dropped,
  errors: ({ counts }) => counts.errors,
};

/** Every word of the search stands somewhere in the id, board, app or version. */
export function select(model: Model, query: FleetQuery): DeviceSummary[] {
  const words = query.search.toLowerCase().split(/\s+/).filter(Boolean);
  const key = KEYS[query.sort];
  const sign = query.descending ? -1 : 1;
  return [...model.devices.values()]
    .filter(({ id, state, app, board, version }) => {
      if (query.state !== "all" && (state === "online") !== (query.state === "online")) return false;
      if (query.group !== "" && query.group !== `${app} on ${board}`) return false;
      const text = `${id} ${app} ${board} ${version}`.toLowerCase();
      return words.every((word) => text.includes(word));
    })
    .map((device) => ({ device, value: key(device, model) }))
    .sort((a, b) => {
      const order = a.value < b.value ? -1 : a.value > b.value ? 1 : 0;
      return order === 0 ? (a.device.id < b.device.id ? -1 : 1) : sign * order;
    })
    .map(({ device }) => device);
}

export function groupsOf(model: Model): string[] {
  return [...new Set([...model.devices.values()].map(({ app, board }) => `${app} on ${board}`))].sort();
}

export interface Window {
  readonly first: number;
  readonly end: number;
}

/** Rows to keep in the document: those seen and some around them, never more than `most`. */
export function windowOf(options: {
  readonly scrollPx: number;
  readonly heightPx: number;
  readonly rowPx: number;
  readonly count: number;
  readonly most: number;
}): Window {
  const { scrollPx, heightPx, rowPx, count, most } = options;
  const seen = Math.ceil(heightPx / rowPx) + 1;
  const around = Math.max(0, Math.floor((most - seen) / 4));
  const first = Math.max(0, Math.min(Math.floor(scrollPx / rowPx) - around, count - 1));
  return { first, end: Math.min(count, first + Math.min(most, seen + 2 * around)) };
}
