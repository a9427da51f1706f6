/**
 * Every metric of the gateway process, in one table: what is not here cannot be recorded, so no name is ever misspelt into a
 * series that nobody watches, and each has its help text.
 *
 * A room records by the full name or by the short one, which lacks what the exposition adds: the prefix `tardigrade_`, a counter's
 * `_total`, a duration's `_seconds`. `log_sync` is `tardigrade_log_sync_seconds`.
 *
 * To add one: add a row. Names follow https://prometheus.io/docs/practices/naming/: base units, counters end in `_total`.
 */
export type MetricKind = "counter" | "gauge" | "duration" | "summary";

export interface MetricRow {
  readonly name: string;
  readonly kind: MetricKind;
  readonly help: string;
  /** Label names. Their values must come from small fixed sets. */
  readonly labels: readonly string[];
}

const counter = (name: string, help: string, labels: readonly string[] = []): MetricRow => ({
  name,
  kind: "counter",
  help,
  labels,
});
const gauge = (name: string, help: string, labels: readonly string[] = []): MetricRow => ({
  name,
  kind: "gauge",
  help,
  labels,
});
const duration = (name: string, help: string, labels: readonly string[] = []): MetricRow => ({
  name,
  kind: "duration",
  help,
  labels,
});

export const METRICS: readonly MetricRow[] = [
  // Ingest and gateway.
  counter("tardigrade_messages_total", "Messages of devices stored in the log."),
  counter("tardigrade_readings_total", "Readings stored in the log."),
  counter(
    "tardigrade_duplicates_total",
    "Messages that arrived again and were acknowledged without being stored.",
  ),
  counter("tardigrade_dropped_readings_total", "Readings that devices dropped, as their drop records state."),
  counter("tardigrade_refused_total", "Messages refused with an error code.", ["code"]),
  counter("tardigrade_errors_total", "Errors of devices and gateway by code.", ["code"]),
  counter("tardigrade_commands_total", "Commands by how they ended.", ["state"]),
  counter(
    "tardigrade_command_results_unexpected_total",
    "Command results that no command waits for: late, repeated or foreign.",
  ),
  counter("tardigrade_forwarded_total", "Records the downstream broker has acknowledged."),
  {
    name: "tardigrade_device_values",
    kind: "summary",
    help: "What devices measured and reported as histograms, in the metric's unit, over all devices of a firmware.",
    labels: ["app", "version", "metric", "unit"],
  },
  gauge("tardigrade_alerts_active", "Alerts raised and not cleared."),
  gauge("tardigrade_devices", "Devices known to the gateway."),
  gauge("tardigrade_devices_online", "Devices with an open session."),
  gauge("tardigrade_ready", "1 while the gateway takes traffic, 0 while it does not."),
  gauge("tardigrade_forwarder_connected", "1 while the downstream broker is connected."),
  gauge("tardigrade_forwarder_backlog_bytes", "Bytes of the log that are not forwarded yet."),

  // Segment log.
  counter("tardigrade_log_batches_total", "Batches committed to the segment log."),
  counter("tardigrade_log_records_total", "Records committed to the segment log."),
  counter("tardigrade_log_bytes_total", "Bytes of batches committed to the segment log."),
  counter("tardigrade_log_torn_bytes_total", "Bytes of an unsynced tail cut at start."),
  duration("tardigrade_log_sync_seconds", "Time of one sync of the segment log."),
  gauge("tardigrade_log_full", "1 while the disk has no room for the log."),
  gauge("tardigrade_log_segments", "Segments of the log."),
  gauge("tardigrade_log_start_offset_bytes", "Offset of the oldest record kept."),
  gauge("tardigrade_log_synced_offset_bytes", "Offset below which every record is on disk."),

  // Between the nodes of a cluster.
  counter("tardigrade_raft_elections_won_total", "Elections that this node won."),
  counter("tardigrade_raft_snapshots_total", "Snapshots made for, or taken over from, another node.", [
    "direction",
  ]),
  counter(
    "tardigrade_raft_state_failures_total",
    "Times that the state store could not take committed entries, and was tried again.",
    ["operation"],
  ),
  counter(
    "tardigrade_peer_dropped_total",
    "Messages to peers not sent, because the peer is down or unknown, or its queue full.",
    ["reason"],
  ),
  counter("tardigrade_peer_connections_ended_total", "Connections between nodes that ended or failed.", [
    "direction",
    "code",
  ]),

  // MQTT.
  counter(
    "tardigrade_broker_dropped_total",
    "Publishes dropped because a client or the broker did not read.",
  ),
  counter("tardigrade_broker_client_errors_total", "MQTT connections ended by an error."),
  gauge("tardigrade_broker_clients", "MQTT clients connected to the embedded broker."),

  // Serial links; the devices are those of the configuration, so they are few.
  counter(
    "tardigrade_serial_opens_total",
    "Times a serial port was opened; each after the first is a reopening.",
    ["device"],
  ),
  counter("tardigrade_serial_failures_total", "Serial ports not opened, lost or silent, by code.", [
    "device",
    "code",
  ]),
  counter("tardigrade_serial_frames_damaged_total", "Frames that arrived damaged over a serial line.", [
    "device",
  ]),
  counter("tardigrade_serial_retries_total", "Frames sent again because no receipt came.", ["device"]),
  counter(
    "tardigrade_serial_refused_total",
    "Messages that a full serial link did not take; they are repeated.",
    ["device"],
  ),
  counter(
    "tardigrade_proxy_readings_refused_total",
    "Values of proxied devices that are no number of a known metric.",
  ),
  counter(
    "tardigrade_proxy_readings_dropped_total",
    "Readings of proxied devices that the full queue did not take; drop records state them.",
  ),
  counter(
    "tardigrade_plain_left_out_total",
    "Payloads of plain MQTT devices left out because too many were being decoded.",
  ),
  counter(
    "tardigrade_plain_metrics_left_out_total",
    "Readings of plain MQTT devices beyond the metrics a device may name.",
  ),
  counter(
    "tardigrade_plugin_failures_total",
    "Messages and states that a plugin did not get through, by code.",
    ["plugin", "code"],
  ),
  counter(
    "tardigrade_policy_results_total",
    "What policies decided and how their calls ended; the results are those of docs/policies.md.",
    ["policy", "result"],
  ),
  duration("tardigrade_plugin_call_seconds", "Time of a plugin's answer, waiting for its turn left out.", [
    "plugin",
  ]),

  // HTTP.
  counter("tardigrade_http_requests_total", "HTTP requests by route and status.", [
    "method",
    "route",
    "status",
  ]),
  gauge(
    "tardigrade_latency_last_minute_seconds",
    "What a share of all did not exceed in the last minute, to within 3 %, of each duration over all its labels.",
    ["of", "share"],
  ),
  duration("tardigrade_http_request_seconds", "Time to answer an HTTP request.", ["route"]),
  gauge("tardigrade_sse_clients", "Clients of the event stream."),
  counter("tardigrade_sse_events_total", "Events written to clients of the event stream."),
  counter("tardigrade_sse_closed_total", "Event streams ended, by reason.", ["reason"]),

  // Ourselves.
  counter(
    "tardigrade_metric_series_refused_total",
    "Samples folded into `other` because a metric had too many series.",
  ),
  counter("tardigrade_process_cpu_seconds_total", "Processor time of the process, user and system."),
  gauge("tardigrade_process_resident_memory_bytes", "Resident memory of the process."),
  gauge("tardigrade_process_heap_used_bytes", "Used JavaScript heap."),
  gauge(
    "tardigrade_process_event_loop_utilization_ratio",
    "Share of time the event loop was busy since the last scrape.",
  ),
  gauge(
    "tardigrade_process_event_loop_delay_p99_seconds",
    "99th percentile of timer lateness since the last scrape.",
  ),
  gauge("tardigrade_process_start_time_seconds", "Start of the process, seconds since 1970."),
];

const PREFIX = "tardigrade_";
const SUFFIX: Readonly<Record<MetricKind, string>> = {
  counter: "_total",
  gauge: "",
  duration: "_seconds",
  summary: "",
};

/** The name that rooms may use for short. */
export function shortName(row: MetricRow): string {
  const suffix = SUFFIX[row.kind];
  const end = row.name.endsWith(suffix) ? row.name.length - suffix.length : row.name.length;
  return row.name.slice(PREFIX.length, end);
}

/** What is wrong with a row, for the table's own test and for rows given by a caller. */
export function problemOfRow(row: MetricRow): string | undefined {
  if (!/^tardigrade_[a-z][a-z0-9_]*$/.test(row.name))
    return `${row.name}: a name is tardigrade_ and lower case`;
  const suffix = SUFFIX[row.kind];
  if (!row.name.endsWith(suffix)) return `${row.name}: the name of a ${row.kind} ends in ${suffix}`;
  if ((row.kind === "gauge" || row.kind === "summary") && row.name.endsWith("_total"))
    return `${row.name}: only a counter ends in _total`;
  if (row.help.length < 10) return `${row.name}: a metric needs a help text`;
  for (const label of row.labels) {
    if (!/^[a-z][a-z0-9_]*$/.test(label) || label === "le" || label === "quantile") {
      return `${row.name}: no label may be called ${label}`;
    }
  }
  return undefined;
}
