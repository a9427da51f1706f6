/** Shapes of what the API takes and gives. Inputs are checked against theirs; outputs are described by them in OpenAPI. */
import { type Static, type TSchema, Type } from "typebox";
import { ERRORS, LIMITS, SEVERITIES } from "../../protocols/table.ts";

export const HISTORY_POINTS_MAX = 10_000;
export const DEVICES_PAGE_MAX = 1000;
export const COMMAND_TIMEOUT_MS_MAX = 60_000;

const closed = { additionalProperties: false } as const;
const TimeMs = (description: string) => Type.Number({ description: `${description}, ms since 1970` });
const list = <T extends TSchema>(name: string, of: T) => Type.Object({ [name]: Type.Array(of) });
const oneOf = <const T extends readonly string[]>(values: T) =>
  Type.Unsafe<T[number]>({ type: "string", enum: [...values] });

// Inputs.

/** ISO 8601 or milliseconds since 1970; a time without zone is UTC. */
const TIME_PATTERN =
  "^([0-9]{1,15}|[0-9]{4}-[0-9]{2}-[0-9]{2}(T[0-9]{2}:[0-9]{2}(:[0-9]{2}(\\.[0-9]{1,9})?)?(Z|[+-][0-9]{2}:[0-9]{2})?)?)$";

export const DeviceId = Type.String({
  pattern: "^[a-z0-9][a-z0-9-]{0,30}$",
  maxLength: LIMITS.DEVICE_ID_BYTES_MAX,
  description: "Device id",
});
const Name = Type.String({ minLength: 1, maxLength: LIMITS.NAME_BYTES_MAX });
export const ShadowValue = Type.Union([
  Type.Boolean(),
  Type.Number(),
  Type.String({ maxLength: LIMITS.TEXT_VALUE_BYTES_MAX }),
]);
const NAME_KEY = `^[^\\u0000]{1,${LIMITS.NAME_BYTES_MAX}}$`;
const namedValues = <T extends TSchema>(value: T, countMax: number) =>
  Type.Unsafe<Record<string, Static<T>>>({
    type: "object",
    patternProperties: { [NAME_KEY]: value },
    additionalProperties: false,
    maxProperties: countMax,
  });

export const DeviceParams = Type.Object({ id: DeviceId }, closed);

export const NoQuery = Type.Object({}, closed);

export const DevicesQuery = Type.Object(
  {
    limit: Type.Integer({ minimum: 1, maximum: DEVICES_PAGE_MAX, default: DEVICES_PAGE_MAX }),
    after: Type.Optional(
      Type.String({
        pattern: "^[a-z0-9-]{1,31}$",
        description: "Devices whose id comes after this one; `next` of the page before.",
      }),
    ),
  },
  closed,
);

export const TelemetryQuery = Type.Object(
  {
    metric: Type.String({
      minLength: 1,
      maxLength: LIMITS.METRIC_NAME_BYTES_MAX,
      description: "Metric name",
    }),
    from: Type.Optional(
      Type.String({ pattern: TIME_PATTERN, description: "ISO 8601 or ms; an hour before `to` by default" }),
    ),
    to: Type.Optional(Type.String({ pattern: TIME_PATTERN, description: "ISO 8601 or ms; now by default" })),
    resolution: Type.Unsafe<"raw" | "minute" | "hour">({
      type: "string",
      enum: ["raw", "minute", "hour"],
      default: "raw",
    }),
    limit: Type.Integer({
      minimum: 1,
      maximum: HISTORY_POINTS_MAX,
      default: 1000,
      description: "Newest points kept",
    }),
  },
  closed,
);

export const ShadowHeaders = Type.Object({
  "if-match": Type.Optional(
    Type.String({
      pattern: '^(\\*|[0-9]{1,10}|"[0-9]{1,10}")$',
      description: "Version of desired that the change was made for",
    }),
  ),
});

export const ShadowPatch = Type.Object(
  { desired: namedValues(Type.Union([ShadowValue, Type.Null()]), LIMITS.SHADOW_ENTRIES_MAX) },
  { ...closed, description: "Entries of desired to set; null removes one." },
);

export const CommandBody = Type.Object(
  {
    name: Name,
    args: Type.Optional(namedValues(ShadowValue, LIMITS.COMMAND_ARGS_MAX)),
    timeoutMs: Type.Optional(Type.Integer({ minimum: 100, maximum: COMMAND_TIMEOUT_MS_MAX })),
  },
  closed,
);

const OFFSET_PATTERN = "^[0-9]{1,15}$";
export const EventsQuery = Type.Object(
  {
    from: Type.Optional(
      Type.String({ pattern: OFFSET_PATTERN, description: "Log offset to begin at; without it, now" }),
    ),
  },
  closed,
);
export const EventsHeaders = Type.Object({
  "last-event-id": Type.Optional(
    Type.String({
      pattern: `^(|${OFFSET_PATTERN.slice(1, -1)})$`,
      description: "Goes on after this event; wins over `from`",
    }),
  ),
});

export type DeviceParams = Static<typeof DeviceParams>;
export type DevicesQuery = Static<typeof DevicesQuery>;
export type TelemetryQuery = Static<typeof TelemetryQuery>;
export type ShadowHeaders = Static<typeof ShadowHeaders>;
export type ShadowPatch = Static<typeof ShadowPatch>;
export type CommandBody = Static<typeof CommandBody>;
export type EventsQuery = Static<typeof EventsQuery>;
export type EventsHeaders = Static<typeof EventsHeaders>;

// Outputs.

const Count = Type.Integer({ minimum: 0 });
const Severity = oneOf(SEVERITIES);

const Metric = Type.Object({
  name: Type.String(),
  unit: Type.String(),
  value: Type.Optional(Type.Number()),
  timeMs: Type.Optional(TimeMs("Time of the newest reading")),
});

export const Device = Type.Object({
  id: Type.String(),
  state: oneOf(["online", "offline", "unknown"]),
  servedBy: Type.Optional(
    Type.String({ description: "The gateway that serves it, where it is another; the rest is of before" }),
  ),
  board: Type.String(),
  app: Type.String(),
  version: Type.String(),
  boot: Count,
  seq: Count,
  lastSeenMs: TimeMs("Last message"),
  metrics: Type.Array(Metric),
  commands: Type.Array(Type.String()),
  stopped: Type.Optional(Type.String({ description: "Code why the app is left stopped" })),
  pins: Type.Array(
    Type.Object({
      pin: Count,
      mode: Type.Integer({ description: "0 off, 1 input, 2 output, 3 PWM, 4 analog" }),
      value: Type.Number(),
    }),
    { description: "As the device last told them" },
  ),
  counts: Type.Object({
    readings: Count,
    messages: Count,
    duplicates: Count,
    dropped: Count,
    possibleGaps: Count,
    errors: Count,
  }),
});
export const Devices = Type.Object({
  devices: Type.Array(Device),
  next: Type.Optional(Type.String({ description: "Pass as `after` for the following page" })),
});

export const Telemetry = Type.Object({
  device: Type.String(),
  metric: Type.String(),
  resolution: oneOf(["raw", "minute", "hour"]),
  fromMs: TimeMs("Begin"),
  toMs: TimeMs("End"),
  points: Type.Array(
    Type.Object({
      timeMs: TimeMs("Time"),
      value: Type.Number(),
      count: Type.Optional(Count),
      min: Type.Optional(Type.Number()),
      max: Type.Optional(Type.Number()),
    }),
  ),
});

const histogramFields = {
  metric: Type.String(),
  unit: Type.String(),
  app: Type.String({ description: "The firmware that measured" }),
  version: Type.String(),
  sinceMs: TimeMs("First report"),
  lastMs: TimeMs("Last report"),
  count: Count,
  mean: Type.Number(),
  min: Type.Number(),
  p50: Type.Number({ description: "Median, at most 1 / 2^bits too high; 3.1 % with 5 bits" }),
  p90: Type.Number(),
  p99: Type.Number(),
  max: Type.Number(),
  perSecond: Type.Number({ description: "Values a second, by the last report" }),
};
export const DeviceHistograms = Type.Object({
  device: Type.String(),
  histograms: Type.Array(Type.Object(histogramFields)),
});
export const Histograms = list(
  "histograms",
  Type.Object({ ...histogramFields, sum: Type.Number(), devices: Count }),
);

const Values = Type.Record(Type.String(), ShadowValue);
export const Shadow = Type.Object({
  device: Type.String(),
  desired: Values,
  reported: Values,
  delta: Values,
  version: Count,
  reportedVersion: Count,
});

export const Command = Type.Object({
  device: Type.String(),
  id: Count,
  name: Type.String(),
  state: oneOf(["sent", "acked", "failed", "timeout"]),
  code: Type.Optional(Type.String()),
  result: Type.Optional(ShadowValue),
  sentMs: TimeMs("Sent"),
  endedMs: Type.Optional(TimeMs("Ended")),
});

export const Errors = list(
  "errors",
  Type.Object({
    code: Type.String(),
    component: Type.String(),
    severity: Severity,
    recovery: Type.String({ description: "What to do by code and severity, one of seven strategies" }),
    count: Count,
    perMinute: Type.Number(),
    lastMs: TimeMs("Last"),
    help: Type.String({ description: "What the code means and what to do" }),
    last: Type.Array(
      Type.Object({
        timeMs: TimeMs("When"),
        message: Type.String(),
        device: Type.Optional(Type.String()),
        context: Type.Record(Type.String(), ShadowValue),
      }),
    ),
  }),
);

export const Alerts = list(
  "alerts",
  Type.Object({
    id: Type.String(),
    code: Type.String(),
    severity: Severity,
    message: Type.String(),
    raisedMs: TimeMs("Raised"),
    clearedMs: Type.Optional(TimeMs("Cleared")),
  }),
);

export const Info = Type.Object({
  site: Type.String(),
  version: Type.String(),
  startedMs: TimeMs("Start"),
  log: Type.Object({ startOffset: Count, syncedOffset: Count, segments: Count, tornBytes: Count }),
  forwarder: Type.Optional(
    Type.Object({
      target: Type.String(),
      connected: Type.Boolean(),
      cursor: Count,
      backlogBytes: Count,
      forwarded: Count,
    }),
  ),
  shared: Type.Optional(
    Type.Object(
      {
        gateway: Type.String({ description: "This one" }),
        gateways: Type.Array(Type.String()),
        isSettled: Type.Boolean({ description: "False during a handover" }),
      },
      { description: "Where several gateways share the site's devices" },
    ),
  ),
  totals: Type.Object({
    devices: Count,
    online: Count,
    messages: Count,
    readings: Count,
    duplicates: Count,
    dropped: Count,
    refused: Count,
    commandsSent: Count,
    commandsAcked: Count,
  }),
});

export const Health = Type.Object({
  live: Type.Boolean(),
  ready: Type.Boolean(),
  state: oneOf(["ok", "degraded", "failed"]),
  checks: Type.Array(Type.Object({ name: Type.String(), ok: Type.Boolean(), detail: Type.String() })),
});

export const Failure = Type.Object({
  error: Type.Object({
    code: Type.Unsafe<string>({ type: "string", enum: Object.keys(ERRORS) }),
    message: Type.String(),
  }),
});
