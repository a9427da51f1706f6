/** Gauges of what a gateway can be asked at any time: they are set when somebody scrapes, not as things happen. */
import type { GatewayService } from "../gateway/service.ts";
import type { Dispose } from "../io/seams.ts";
import type { Metrics } from "./metrics.ts";

export function observeService(metrics: Metrics, service: GatewayService): Dispose {
  const { meter } = metrics;
  const stopSummary = metrics.summary("device_values", () =>
    service.histograms().map(({ app, version, metric, unit, p50, p90, p99, sum, count }) => ({
      labels: { app, version, metric, unit },
      quantiles: { "0.5": p50, "0.9": p90, "0.99": p99 },
      sum,
      count,
    })),
  );
  const stopGauges = metrics.onScrape(() => {
    const info = service.info();
    meter.gauge("devices", info.totals.devices);
    meter.gauge("devices_online", info.totals.online);
    meter.gauge("log_segments", info.log.segments);
    meter.gauge("log_start_offset_bytes", info.log.startOffset);
    meter.gauge("log_synced_offset_bytes", info.log.syncedOffset);
    meter.gauge("ready", service.health().ready ? 1 : 0);
    meter.gauge("alerts_active", service.alerts().filter((alert) => alert.clearedMs === undefined).length);
    const forwarder = info.forwarder;
    if (forwarder === undefined) return;
    meter.gauge("forwarder_connected", forwarder.connected ? 1 : 0);
    meter.gauge("forwarder_backlog_bytes", forwarder.backlogBytes);
  });
  return () => {
    stopSummary();
    stopGauges();
  };
}
