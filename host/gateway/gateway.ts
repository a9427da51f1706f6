/**
 * A gateway, composed from its seams. It starts in an order that no device can overtake: the log is recovered, the state
 * restored, the log after the checkpoint applied, the sessions' watermarks set from it; only then is the broker subscribed to
 * and are devices asked for their hellos.
 */
import { isTardigradeError, TardigradeError } from "../../protocols/error.ts";
import { encodeMessage } from "../../protocols/message.ts";
import type { Message } from "../../protocols/messages.generated.ts";
import { deviceTopic, isSite, stateTopic } from "../../protocols/topic.ts";
import type { Dispose } from "../io/seams.ts";
import { History } from "../store/history.ts";
import { openSegmentLog, type SegmentLog } from "../store/segment-log.ts";
import { AlertLog } from "./alert-log.ts";
import { Bridge } from "./bridge.ts";
import { Commands } from "./commands.ts";
import { DeviceErrors } from "./device-errors.ts";
import { checkBindings, type DeviceLinks } from "./device-links.ts";
import { sessionOf } from "./device-row.ts";
import { DEFAULT_THRESHOLDS, ErrorMonitor } from "./error-monitor.ts";
import { EventHub, toldEvent } from "./events.ts";
import { type Forwarder, openForwarder } from "./forwarder.ts";
import { RETENTION_MS, type Resolution } from "./history-query.ts";
import { Inbox } from "./inbox.ts";
import { Ingest } from "./ingest.ts";
import { Ledger } from "./ledger.ts";
import { Maintenance } from "./maintenance.ts";
import { DEFAULT_LIMITS, type Gateway, type GatewayLimits, type GatewayOptions } from "./options.ts";
import { PresenceBoard } from "./presence.ts";
import { type Applied, Projection } from "./projection.ts";
import { Proxies } from "./proxies.ts";
import { serialLinks } from "./serial-links.ts";
import { Service } from "./service-view.ts";
import { Shadows, sharedVersion } from "./shadows.ts";
import { SharedSite } from "./shared-site.ts";
import { type DurableStamps, openStamps, wallStampClock } from "./stamps.ts";
import { StateTopics } from "./state-topics.ts";
import { stateJson, summaryOf } from "./summary.ts";
import { takeUnsequenced } from "./unsequenced.ts";

export { bridgeStateTopic } from "./bridge.ts";
export type { Gateway, GatewayLimits, GatewayOptions } from "./options.ts";

/** Rejects with LOG_CORRUPT, LOG_LOCKED, FORMAT_VERSION, STATE_CORRUPT, CONFIG_INVALID or a disk error. */
export async function openGateway(options: GatewayOptions): Promise<Gateway> {
  const { site, clock, meter, logger, disk, random } = options;
  if (!isSite(site)) {
    const message = `"${site.slice(0, 40)}" is no site name: use 1 to 31 of a-z, 0-9 and -, not first a -.`;
    throw new TardigradeError("CONFIG_INVALID", message);
  }
  checkBindings(options.serial?.links ?? []);
  const log = await openSegmentLog({ folder: "log", ...options.log, disk, clock, random, meter, logger });
  const stamps = await openStamps({
    disk,
    clock,
    clockFrom: options.stampClock ?? ((floor) => wallStampClock(clock, floor)),
    onError: (error) => logger.error("the bound of the stamps was not kept", { error: String(error) }),
  }).catch(async (error: unknown) => {
    await log.close().catch(() => undefined);
    throw error;
  });
  const running = new Running(options, { log, stamps });
  try {
    await running.start();
    return running.gateway();
  } catch (error) {
    await running.abandon();
    throw error;
  }
}

/** Least time between two publishes of the list of devices. */
const DEVICE_LIST_MS = 1000;

class Running {
  readonly #options: GatewayOptions;
  readonly #limits: GatewayLimits;
  readonly #log: SegmentLog;
  readonly #stamps: DurableStamps;
  readonly #retentionMs: Readonly<Record<Resolution, number>>;
  readonly #history: History;
  readonly #monitor: ErrorMonitor;
  readonly #ledger: Ledger;
  readonly #projection: Projection;
  readonly #ingest: Ingest;
  readonly #presence: PresenceBoard;
  readonly #shadows: Shadows;
  readonly #events: EventHub;
  readonly #states: StateTopics;
  readonly #deviceList: StateTopics;
  readonly #links: DeviceLinks;
  readonly #proxies: Proxies;
  readonly #shared = new SharedSite();
  #commands!: Commands;
  #service!: Service;
  #bridge!: Bridge;
  #forwarder: Forwarder | undefined;
  #maintenance: Maintenance | undefined;
  readonly #disposers: Dispose[] = [];
  readonly #alertLog: AlertLog;
  readonly #deviceErrors: DeviceErrors;
  #closed = false;

  constructor(
    options: GatewayOptions,
    { log, stamps }: { readonly log: SegmentLog; readonly stamps: DurableStamps },
  ) {
    const { clock, meter, logger, state } = options;
    this.#options = options;
    this.#retentionMs = { ...RETENTION_MS, ...options.retentionMs };
    const history = new History({ retentionMs: this.#retentionMs });
    this.#history = history;
    this.#limits = { ...DEFAULT_LIMITS, ...options.limits };
    this.#log = log;
    const { thresholds = DEFAULT_THRESHOLDS } = options;
    this.#monitor = new ErrorMonitor({ clock, meter, logger, thresholds });
    this.#deviceErrors = new DeviceErrors(this.#monitor);
    this.#stamps = stamps;
    this.#ledger = new Ledger({ log, stamps, clock });
    this.#alertLog = new AlertLog(this.#ledger, (error) => this.#bug("alerts", error));
    const send = (device: string, message: Message): void => this.#send(device, message);
    const row = (device: string) => this.#projection.rows.get(device);
    this.#ingest = new Ingest({
      ledger: this.#ledger,
      clock,
      monitor: this.#monitor,
      meter,
      devicesMax: this.#limits.devicesMax,
      isShared: () => this.#shared.isShared,
      send,
      heard: (device) => this.#presence.heard(device),
      opened: (device) => this.#commands.reopened(device),
      unsequenced: (device, message) =>
        takeUnsequenced({ commands: this.#commands, monitor: this.#monitor, meter, row }, device, message),
    });
    this.#projection = new Projection({
      log,
      state,
      history,
      meter,
      logger,
      onApplied: (applied) => this.#applied(applied),
      onBehind: (behind) => {
        this.#ledger.hold = behind;
      },
      onFailed: (error) => this.#failed(error),
      duplicatesOf: (device) => this.#ingest.duplicatesOf(device),
    });
    this.#ledger.onDurable((entries) => this.#projection.push(entries));
    this.#shadows = new Shadows({
      ledger: this.#ledger,
      clock,
      row,
      send,
      isOpen: (device) => this.#ingest.sessions.get(device)?.open === true,
      versionFloor: () => (this.#shared.isShared ? sharedVersion(clock.wallMs()) : 0),
    });
    this.#presence = new PresenceBoard({
      clock,
      silenceMs: this.#limits.silenceMs,
      onChange: (device, deviceState) => this.#presenceChanged(device, deviceState),
    });
    this.#events = new EventHub({ log, row, onError: (error) => this.#bug("events", error) });
    this.#states = new StateTopics({
      clock,
      intervalMs: this.#limits.stateIntervalMs,
      publish: (device) => this.#publishState(device),
    });
    // It names every device, so a fleet that greets at once must not publish it once for each.
    this.#deviceList = new StateTopics({
      clock,
      intervalMs: DEVICE_LIST_MS,
      publish: () => this.#bridge.devices(),
    });
    this.#links = serialLinks(options, {
      monitor: this.#monitor,
      accepts: () => this.#ledger.accepts,
      ingest: this.#ingest,
      presence: this.#presence,
      onError: (error) => this.#bug("serial", error),
    });
    this.#proxies = new Proxies({
      ...{ ...options, monitor: this.#monitor, links: this.#links, devicesMax: this.#limits.devicesMax },
      ...{ ingest: this.#ingest, presence: this.#presence, shared: this.#shared },
      lastBoot: (device) => row(device)?.helloBoot ?? 0,
      onError: (error) => this.#bug("proxies", error),
    });
  }

  async start(): Promise<void> {
    const { broker, clock, site, logger } = this.#options;
    await this.#projection.restore();
    for (const row of this.#projection.rows.values()) this.#ingest.sessions.set(row.id, sessionOf(row));
    this.#monitor.restore(this.#projection.alerts);
    this.#disposers.push(
      this.#monitor.onAlert((alert) => {
        this.#events.emit({ type: "alert", offset: -1, alert });
        this.#alertLog.add(alert);
      }),
      this.#log.onState((state) => this.#logState(state === "full")),
      this.#log.onFatal((error) => this.#failed(error)),
    );
    this.#logState(this.#log.state === "full");
    const rows = [...this.#projection.rows.values()];
    this.#commands = new Commands({
      ledger: this.#ledger,
      clock,
      monitor: this.#monitor,
      send: (device, message) => this.#send(device, message),
      isKnown: (device) => this.#projection.rows.has(device),
      onChange: (command, offset) => this.#events.emit({ type: "command", offset, command }),
      ...(this.#options.share === undefined ? {} : { randomId: this.#options.random.u32() }),
      lastId: rows.reduce((highest, row) => Math.max(highest, row.lastCommandId), 0),
    });
    if (this.#options.forwarder !== undefined) {
      this.#forwarder = await openForwarder({
        ...this.#options.forwarder,
        site,
        disk: this.#options.disk,
        clock,
        random: this.#options.random,
        log: this.#log,
        applied: () => this.#projection.applied,
        row: (device) => this.#projection.rows.get(device),
        monitor: this.#monitor,
        meter: this.#options.meter,
        logger,
      });
    }
    this.#service = new Service({
      site,
      version: this.#options.version ?? "0.0.0",
      startedMs: clock.wallMs(),
      log: this.#log,
      history: this.#history,
      state: this.#options.state,
      retentionMs: this.#retentionMs,
      nowMs: () => clock.wallMs(),
      projection: this.#projection,
      ingest: this.#ingest,
      presence: this.#presence,
      shadows: this.#shadows,
      commands: this.#commands,
      monitor: this.#monitor,
      events: this.#events,
      forwarder: this.#forwarder,
      links: this.#links,
      shared: this.#shared,
    });
    this.#bridge = new Bridge({
      ...{ site, broker, service: this.#service, monitor: this.#monitor, shared: this.#shared },
      audit: this.#options.audit,
    });
    this.#maintenance = new Maintenance({
      clock,
      log: this.#log,
      state: this.#options.state,
      history: this.#history,
      logBytesMax: this.#limits.logBytesMax,
      applied: () => this.#projection.applied,
      forwarded: () => this.#forwarder?.cursor ?? Number.POSITIVE_INFINITY,
      onTick: () => {
        this.#alertLog.flush();
        this.#bridge.health();
      },
      onError: (error) => this.#bug("maintenance", error),
    });
    for (const { device } of this.#options.serial?.links ?? []) this.#shared.keepLocal(device);
    this.#shared.open(this.#options.share, {
      ...{ clock, ingest: this.#ingest, presence: this.#presence, commands: this.#commands },
      proxies: this.#proxies,
      onGained: () => this.#bridge.announce(),
      onReleased: (device) => this.#emitDevice(device, -1),
    });
    if (this.#shared.isShared) this.#disposers.push(await this.#bridge.watchState());
    await this.#subscribe();
    this.#links.open();
    await this.#proxies.open(this.#options.sources ?? []);
    logger.info("gateway is up", { site, devices: rows.length, logEnd: this.#log.end });
  }

  /** The start failed half-way. */
  async abandon(): Promise<void> {
    this.#closed = true;
    for (const dispose of this.#disposers) dispose();
    await this.#shared.close();
    await this.#proxies.close();
    this.#links.close();
    this.#presence.close();
    this.#monitor.close();
    await this.#maintenance?.close();
    await this.#forwarder?.close().catch(() => undefined);
    await this.#stamps.close().catch(() => undefined);
    await this.#log.close().catch(() => undefined);
    this.#ledger.close();
  }

  gateway(): Gateway {
    const service = this.#service;
    return {
      info: () => service.info(),
      health: () => service.health(),
      devices: () => service.devices(),
      device: (id) => service.device(id),
      history: (query) => service.history(query),
      deviceHistograms: (id) => service.deviceHistograms(id),
      histograms: () => service.histograms(),
      shadow: (id) => service.shadow(id),
      setDesired: (id, patch, options) => service.setDesired(id, patch, options),
      command: (id, command) => service.command(id, command),
      errors: () => service.errors(),
      alerts: () => service.alerts(),
      events: (listener, options) => service.events(listener, options),
      errorMonitor: this.#monitor,
      settled: () => this.#projection.idle(),
      close: () => this.#close(),
    };
  }

  async #subscribe(): Promise<void> {
    const { broker, site } = this.#options;
    const inbox = new Inbox({
      site,
      monitor: this.#monitor,
      receive: (device, payload) => this.#ingest.receive(device, payload),
      serves: (device) => this.#shared.serves(device),
      isProxied: (device) => this.#links.isProxied(device),
      availability: (device, word) => this.#presence.hint(device, word),
      patch: (device, patch) => this.#shadows.setDesired(device, patch),
      get: (device) => this.#publishState(device),
      request: (topic, payload, sender) => this.#bridge.request(topic, payload, sender),
      refused: () => {
        this.#ingest.totals.refused += 1;
      },
      audit: this.#options.audit,
    });
    this.#disposers.push(...(await inbox.subscribe(broker)));
    let told = false;
    this.#disposers.push(
      broker.onState((up) => {
        told = true;
        this.#brokerState(up);
      }),
    );
    // A broker that tells of changes only is up.
    if (!told) this.#brokerState(true);
  }

  /** The embedded broker is up at once; an external one whenever its connection is, and then it may have missed anything. */
  #brokerState(up: boolean): void {
    if (!up) {
      this.#monitor.raise("broker", {
        code: "BROKER_UNREACHABLE",
        message: "The MQTT broker cannot be reached; devices keep their readings until it is back.",
      });
      return;
    }
    this.#monitor.clear("broker");
    this.#announce();
    this.#ingest.askHellos((device) => this.#shared.serves(device));
  }

  #announce(): void {
    this.#bridge.announce();
    for (const device of this.#projection.rows.keys()) this.#states.changed(device);
  }

  #send(device: string, message: Message): void {
    if (this.#links.send(device, message)) return;
    this.#options.broker.publish(deviceTopic(this.#options.site, device, "down"), encodeMessage(message));
  }

  #publishState(device: string): void {
    const row = this.#projection.rows.get(device);
    // In a shared site what stands here may be older than what another gateway said, until the device has greeted.
    if (row === undefined || (this.#shared.isShared && !this.#isHere(device))) return;
    const { broker, site } = this.#options;
    const json = stateJson(row, this.#presence.state(device));
    broker.publish(stateTopic(site, device), json, { retain: true, qos: 1 });
  }

  #isHere(device: string): boolean {
    return this.#shared.serves(device) && this.#ingest.sessions.get(device)?.open === true;
  }

  #presenceChanged(device: string, state: string): void {
    const { broker, site, meter } = this.#options;
    broker.publish(deviceTopic(site, device, "availability"), state, { retain: true, qos: 1 });
    meter.gauge("tardigrade_devices_online", this.#presence.onlineCount);
    this.#states.changed(device);
    const row = this.#projection.rows.get(device);
    if (row === undefined) return;
    this.#emitDevice(device, -1);
    this.#deviceList.changed("");
  }

  #applied(applied: readonly Applied[]): void {
    this.#forwarder?.wake();
    for (const one of applied) {
      const device = one.row.id;
      this.#states.changed(device);
      switch (one.type) {
        case "readings":
          if (this.#events.isWatched) {
            this.#events.emit({ type: "readings", offset: one.offset, device, readings: one.readings });
          }
          break;
        case "invalidHistogram":
          this.#monitor.report("HISTOGRAM_INVALID", { component: "ingest", device, message: one.problem });
          break;
        case "event":
        case "log":
        case "error":
          this.#tell(one);
          break;
        case "hello":
          this.#deviceErrors.appState(device, one.row.stopped ?? 0);
          this.#shadows.reconcile(device);
          this.#emitDevice(device, one.offset);
          this.#deviceList.changed("");
          break;
        case "desired":
        case "reported":
          this.#shadows.reconcile(device);
          this.#events.emit({ type: "shadow", offset: one.offset, shadow: this.#shadows.view(device) });
          break;
        case "pins":
        case "drop":
          this.#emitDevice(device, one.offset);
      }
    }
  }

  #tell(told: Extract<Applied, { type: "event" | "log" | "error" }>): void {
    this.#events.emit(toldEvent(told));
    if (told.error !== undefined) this.#deviceErrors.report(told.row.id, told.error);
  }

  #emitDevice(device: string, offset: number): void {
    const row = this.#projection.rows.get(device);
    if (row === undefined || !this.#events.isWatched) return;
    const live = { state: this.#presence.state(device), duplicates: this.#projection.duplicates(row) };
    this.#events.emit({ type: "device", offset, device: summaryOf(row, live) });
  }

  #logState(full: boolean): void {
    if (!full) return this.#monitor.clear("disk-full");
    this.#monitor.raise("disk-full", {
      code: "DISK_FULL",
      message: "The disk is full: nothing is acknowledged to devices until there is room. Free space.",
    });
  }

  #failed(error: unknown): void {
    if (this.#closed) return;
    const message = error instanceof Error ? error.message : String(error);
    const code = isTardigradeError(error) ? error.code : "INTERNAL";
    this.#monitor.report(code, { component: "store", message });
    this.#monitor.raise("failed", { code, message: `The store failed: ${message}` });
    this.#options.onFatal?.(error instanceof Error ? error : new Error(message));
  }

  #bug(component: string, error: unknown): void {
    if (this.#closed) return;
    const message = error instanceof Error ? error.message : String(error);
    this.#monitor.report(isTardigradeError(error) ? error.code : "INTERNAL", { component, message });
  }

  async #close(): Promise<void> {
    if (this.#closed) return;
    // While the log takes what it has: others wait for that.
    await this.#shared.close();
    for (const dispose of this.#disposers) dispose();
    await this.#proxies.close();
    // First of all: its devices are offline with it, and that is to be published.
    this.#links.close();
    this.#commands.close();
    this.#shadows.close();
    this.#presence.close();
    this.#ingest.close();
    await this.#maintenance?.close();
    await this.#forwarder?.close();
    await this.#log.close();
    await this.#stamps.close();
    await this.#projection.close();
    this.#states.close();
    this.#deviceList.close();
    this.#bridge.offline();
    this.#closed = true;
    this.#monitor.close();
    this.#ledger.close();
    await this.#options.state.flush();
  }
}
