/** The questions that HTTP, the bridge topics and the terminal ask, answered from the gateway's parts. */
import { TardigradeError } from "../../protocols/error.ts";
import type { Dispose } from "../io/seams.ts";
import type { History } from "../store/history.ts";
import type { SegmentLog } from "../store/segment-log.ts";
import type { StateStore } from "../store/state-store.ts";
import type { Commands } from "./commands.ts";
import type { DeviceLinks } from "./device-links.ts";
import type { ErrorMonitor } from "./error-monitor.ts";
import type { EventHub } from "./events.ts";
import type { Forwarder } from "./forwarder.ts";
import { newestPoints, type Resolution } from "./history-query.ts";
import type { Ingest } from "./ingest.ts";
import type { PresenceBoard } from "./presence.ts";
import type { Projection } from "./projection.ts";
import type {
  AlertView,
  CommandView,
  DeviceSummary,
  ErrorView,
  FirmwareHistogramView,
  GatewayEvent,
  GatewayInfo,
  GatewayService,
  HealthView,
  HistogramView,
  HistoryPoint,
  ShadowView,
} from "./service.ts";
import type { Patch, Shadows } from "./shadows.ts";
import type { SharedSite } from "./shared-site.ts";
import { summaryOf } from "./summary.ts";

export const HISTORY_POINTS_MAX = 10_000;

export interface ServiceParts {
  readonly site: string;
  readonly version: string;
  readonly startedMs: number;
  readonly log: SegmentLog;
  readonly history: History;
  readonly state: StateStore;
  readonly retentionMs: Readonly<Record<Resolution, number>>;
  /** Wall clock. */
  readonly nowMs: () => number;
  readonly projection: Projection;
  readonly ingest: Ingest;
  readonly presence: PresenceBoard;
  readonly shadows: Shadows;
  readonly commands: Commands;
  readonly monitor: ErrorMonitor;
  readonly events: EventHub;
  readonly forwarder: Forwarder | undefined;
  readonly links: DeviceLinks;
  readonly shared: SharedSite;
}

export class Service implements GatewayService {
  readonly #parts: ServiceParts;

  constructor(parts: ServiceParts) {
    this.#parts = parts;
  }

  info(): GatewayInfo {
    const { site, version, startedMs, log, projection, ingest, presence, commands, forwarder, shared } =
      this.#parts;
    const share = shared.state();
    const totals = { messages: 0, readings: 0, duplicates: 0, dropped: 0 };
    for (const row of projection.rows.values()) {
      totals.messages += row.counts.messages;
      totals.readings += row.counts.readings;
      totals.dropped += row.counts.dropped;
      totals.duplicates += projection.duplicates(row);
    }
    return {
      site,
      version,
      startedMs,
      log: {
        startOffset: log.start,
        syncedOffset: log.syncedEnd,
        segments: log.openReport.segments,
        tornBytes: log.openReport.tornBytes,
      },
      ...(forwarder === undefined ? {} : { forwarder: forwarder.info() }),
      ...(share === undefined ? {} : { shared: share }),
      totals: {
        devices: projection.rows.size,
        online: presence.onlineCount,
        ...totals,
        refused: ingest.totals.refused,
        commandsSent: commands.totals.sent,
        commandsAcked: commands.totals.acked,
      },
    };
  }

  health(): HealthView {
    const { log, projection, monitor, forwarder, links, shared } = this.#parts;
    const full = log.state === "full";
    const checks = [
      { name: "log", ok: !full, detail: full ? "the disk is full" : `synced up to ${log.syncedEnd}` },
      {
        name: "state",
        ok: !projection.failed,
        detail: projection.failed
          ? "it failed; restart the gateway"
          : `${projection.backlogCount} records behind`,
      },
      {
        name: "broker",
        ok: !monitor.isRaised("broker"),
        detail: monitor.isRaised("broker") ? "unreachable" : "connected",
      },
    ];
    if (forwarder !== undefined) {
      const { connected, backlogBytes } = forwarder.info();
      checks.push({
        name: "forwarder",
        ok: !monitor.isRaised("forward"),
        detail: `${connected ? "connected" : "not connected"}, ${backlogBytes} bytes behind`,
      });
    }
    const sharing = shared.state();
    if (sharing !== undefined) {
      const { gateways, gateway, isSettled } = sharing;
      const isMember = gateways.includes(gateway);
      const detail = !isMember
        ? "no lease of the cluster: no device is served"
        : `${gateways.length} gateways share the devices${isSettled ? "" : "; a handover is under way"}`;
      checks.push({ name: "cluster", ok: isMember, detail });
    }
    if (links.count > 0) {
      const { count, upCount } = links;
      checks.push({ name: "serial", ok: upCount === count, detail: `${upCount} of ${count} devices heard` });
    }
    const failed = projection.failed || monitor.isRaised("failed");
    const state = failed ? "failed" : checks.every((check) => check.ok) ? "ok" : "degraded";
    return { live: !failed, ready: !failed && !full, state, checks };
  }

  devices(): readonly DeviceSummary[] {
    return [...this.#parts.projection.rows.keys()].sort().flatMap((id) => this.device(id) ?? []);
  }

  device(id: string): DeviceSummary | undefined {
    const { projection, presence } = this.#parts;
    const row = projection.rows.get(id);
    if (row === undefined) return undefined;
    const servedBy = this.#parts.shared.servedBy(id);
    return {
      ...summaryOf(row, { state: presence.state(id), duplicates: projection.duplicates(row) }),
      ...(servedBy === undefined ? {} : { servedBy }),
    };
  }

  history(query: Parameters<GatewayService["history"]>[0]): readonly HistoryPoint[] {
    const { projection, history, state, retentionMs, nowMs } = this.#parts;
    const row = projection.rows.get(query.device);
    if (row === undefined) {
      throw new TardigradeError("DEVICE_UNKNOWN", `There is no device "${query.device.slice(0, 40)}".`);
    }
    const { fromMs, toMs, limit } = query;
    if (!(fromMs >= 0) || !(toMs >= fromMs) || !(limit >= 1)) {
      throw new TardigradeError(
        "REQUEST_INVALID",
        "History needs 0 <= fromMs <= toMs and a limit of at least 1.",
      );
    }
    // Nothing stands outside these, and each empty minute between would cost a look-up.
    const newestMs = row.values[query.metric]?.timeMs;
    if (newestMs === undefined) return [];
    return newestPoints(history, state, {
      ...query,
      fromMs: Math.max(fromMs, nowMs() - retentionMs[query.resolution]),
      toMs: Math.min(toMs, newestMs + 1),
      limit: Math.min(Math.floor(limit), HISTORY_POINTS_MAX),
    });
  }

  deviceHistograms(id: string): readonly HistogramView[] {
    return this.#parts.projection.histograms.ofDevice(id);
  }

  histograms(): readonly FirmwareHistogramView[] {
    return this.#parts.projection.histograms.ofFirmwares(this.#parts.nowMs());
  }

  shadow(id: string): ShadowView {
    return this.#parts.shadows.view(id);
  }

  async setDesired(
    id: string,
    patch: Patch,
    options: { readonly ifVersion?: number } = {},
  ): Promise<ShadowView> {
    this.#parts.shared.mustServe(id);
    return this.#parts.shadows.setDesired(id, patch, options);
  }

  async command(id: string, command: Parameters<GatewayService["command"]>[1]): Promise<CommandView> {
    this.#parts.shared.mustServe(id);
    return this.#parts.commands.run(id, command);
  }

  errors(): readonly ErrorView[] {
    return this.#parts.monitor.errors();
  }

  alerts(): readonly AlertView[] {
    return this.#parts.monitor.alerts();
  }

  events(listener: (event: GatewayEvent) => void, options: { readonly from?: number } = {}): Dispose {
    return this.#parts.events.listen(listener, options.from);
  }
}
