/**
 * `tardi gateway run`: puts a gateway together from its configuration and the real clock, disk, dice and network, serves until
 * it is told to stop, and ends in order. The process ends with 1 when the log says that it cannot be trusted any more.
 */
import { existsSync, readFileSync } from "node:fs";
import { mkdir } from "node:fs/promises";
import { join, resolve } from "node:path";
import { packageRoot } from "../../boards/toolchain/compile.ts";
import { TardigradeError } from "../../protocols/error.ts";
import { bridgeTopic } from "../../protocols/topic.ts";
import { bearerCheck, isLoopback } from "../api/access.ts";
import { startApi } from "../api/server.ts";
import type { Core } from "../core/core.ts";
import { openCore } from "../core/core.ts";
import { readCoreBytes } from "../core/core-bytes.ts";
import { createHybridClock } from "../core/hybrid-clock.ts";
import { type Backoff, type BackoffOptions, createBackoff } from "../core/policy/backoff.ts";
import type { AccessControl } from "../gateway/access/access-control.ts";
import { brokerLogin } from "../gateway/access/broker-login.ts";
import type { Principal } from "../gateway/access/principal.ts";
import { topicRules } from "../gateway/acl.ts";
import { DEFAULT_THRESHOLDS } from "../gateway/error-monitor.ts";
import { type Gateway, openGateway } from "../gateway/gateway.ts";
import type { RuleSet } from "../gateway/plain/rule.ts";
import type { ProxySource } from "../gateway/proxy-port.ts";
import { REOPEN } from "../gateway/serial-link.ts";
import type { OpenShare } from "../gateway/shared-site.ts";
import { systemClock } from "../io/clock.ts";
import { nodeDisk } from "../io/disk.ts";
import { type EmbeddedBroker, openEmbeddedBroker } from "../io/mqtt-embedded.ts";
import { systemProbe } from "../io/process-probe.ts";
import { systemRandom } from "../io/random.ts";
import type { Broker, Clock, Logger, Meter, SerialPorts } from "../io/seams.ts";
import { createLogger } from "../observe/logger.ts";
import { createMetrics } from "../observe/metrics.ts";
import { observeService } from "../observe/service-metrics.ts";
import { openLmdbState } from "../store/lmdb-state.ts";
import { memoryState } from "../store/memory-state.ts";
import type { StateStore } from "../store/state-store.ts";
import { knownIn, openAccess, tlsOf } from "./access-setup.ts";
import { type Config, loadConfig } from "./config.ts";
import { note, progress } from "./output.ts";
import type { shareOf } from "./share-setup.ts";

const CONFIG_FILE = "tardigrade.yaml";
const DAY_MS = 86_400_000;
const MB = 2 ** 20;
/** A revoked device or user is gone from the broker after so long at the latest. */
const REVOKED_LOOK_MS = 2000;

export function packageVersion(): string {
  return JSON.parse(readFileSync(join(packageRoot(), "package.json"), "utf8")).version;
}

/** The named file, else tardigrade.yaml here, else the defaults. Throws CONFIG_INVALID or FILE_UNREADABLE. */
export function configOf(path: string | undefined): { readonly config: Config; readonly source: string } {
  if (path === undefined && !existsSync(CONFIG_FILE))
    return { config: loadConfig("", "defaults", process.env, knownIn), source: "defaults" };
  const file = path ?? CONFIG_FILE;
  let text: string;
  try {
    text = readFileSync(file, "utf8");
  } catch (cause) {
    throw new TardigradeError(
      "FILE_UNREADABLE",
      `The configuration ${file} cannot be read: ${(cause as Error).message}`,
      { cause },
    );
  }
  return { config: loadConfig(text, file, process.env, knownIn), source: file };
}

export async function gatewayCommand(options: {
  readonly config?: string;
  readonly announce?: boolean;
}): Promise<number> {
  const { config, source } = configOf(options.config);
  // Whoever wants the announcement says in its own words that it waits.
  const line = options.announce ? undefined : progress(`Gateway of site ${config.site} (${source})`);
  const running = await runGateway(config);
  const mqtt =
    config.mqtt.mode === "embedded" ? `mqtt://${config.mqtt.host}:${config.mqtt.port}` : config.mqtt.url;
  line?.done(`MQTT ${mqtt}, HTTP http://${config.http.host}:${running.httpPort}`);
  if (options.announce)
    process.stdout.write(`${JSON.stringify({ type: "ready", httpPort: running.httpPort })}\n`);
  const how = await Promise.race([running.failed, signalled()]);
  if (how === "signal") {
    await running.close();
    return 0;
  }
  note(`The gateway ends: ${how.message}`);
  return 1;
}

function signalled(): Promise<"signal"> {
  return new Promise((resolveSignal) => {
    process.once("SIGTERM", () => resolveSignal("signal"));
    process.once("SIGINT", () => resolveSignal("signal"));
  });
}

export interface RunningGateway {
  readonly gateway: Gateway;
  readonly httpPort: number;
  readonly failed: Promise<Error>;
  close(): Promise<void>;
}

export async function runGateway(config: Config): Promise<RunningGateway> {
  const clock = systemClock();
  const logger = createLogger({ level: config.log.level, clock });
  const probe = systemProbe();
  const core = openCore(readCoreBytes());
  const metrics = createMetrics({ clock, core, probe });
  const { meter } = metrics;
  const closers: (() => unknown)[] = [() => probe.close()];
  const failed = Promise.withResolvers<Error>();
  try {
    await mkdir(config.data, { recursive: true });
    const { requestsPerSecond } = config.http;
    const parts = openAccess({ data: config.data, core, clock, logger, requestsPerSecond });
    const broker = await openBroker(config, { meter, logger, clock, core, access: parts.access });
    closers.unshift(() => broker.close());
    const state = await openState(config);
    closers.unshift(() => state.close());
    const gateway = await openGateway({
      ...(await gatewayOptions(config, { clock, logger, core })),
      audit: parts.audit,
      sources: await sourcesOf(config, { core, clock, meter, closers }),
      ...(config.cluster === undefined
        ? {}
        : { share: await shareFor(config.site, config.cluster, { core, clock, logger, meter }) }),
      broker,
      state,
      meter,
      logger,
      onFatal: failed.resolve,
    });
    closers.unshift(() => gateway.close());
    closers.unshift(observeService(metrics, gateway));
    if (config.homeAssistant !== undefined) {
      const { openHomeAssistant } = await import("../observe/home-assistant.ts");
      const { site, homeAssistant } = config;
      closers.unshift(await openHomeAssistant({ site, broker, service: gateway, clock, ...homeAssistant }));
    }
    const { host, port } = config.http;
    const token = tokenOf(config);
    const text = () => metrics.metricsText();
    const api = await startApi({
      host,
      port,
      ...(token === undefined ? {} : { token }),
      ...parts,
      ...tlsOf(config.http.tls),
      service: gateway,
      meter,
      metrics: text,
      clock,
      logger,
    });
    closers.unshift(() => api.close());
    return { gateway, httpPort: api.port, failed: failed.promise, close: () => closeAll(closers) };
  } catch (error) {
    await closeAll(closers);
    throw error;
  }
}

function tokenOf({ http }: Config): string | undefined {
  if (http.token !== undefined || http.tokenFile === undefined) return http.token;
  try {
    return readFileSync(http.tokenFile, "utf8").split("\n", 1)[0]?.trim();
  } catch (cause) {
    throw new TardigradeError(
      "FILE_UNREADABLE",
      `The token file ${http.tokenFile} cannot be read: ${(cause as Error).message}`,
      { cause },
    );
  }
}

async function closeAll(closers: readonly (() => unknown)[]): Promise<void> {
  for (const close of closers) await close();
}

/** The MQTT client is loaded where one is used: by an external broker or a forwarder. */
async function gatewayOptions(
  config: Config,
  { clock, logger, core }: { readonly clock: Clock; readonly logger: Logger; readonly core: Core },
) {
  const { store, forward, site } = config;
  return {
    site,
    version: packageVersion(),
    disk: nodeDisk(resolve(config.data)),
    clock,
    random: systemRandom(),
    stampClock: (floor: bigint) =>
      createHybridClock(core, clock, { floor, driftMsMax: Number.POSITIVE_INFINITY }),
    retentionMs: {
      raw: store.history.rawDays * DAY_MS,
      minute: store.history.minuteDays * DAY_MS,
      hour: store.history.hourDays * DAY_MS,
    },
    log: { segmentBytes: store.segmentMb * MB, pendingBytesMax: config.limits.pendingMb * MB },
    limits: { devicesMax: config.limits.devices, logBytesMax: store.retentionMb * MB },
    thresholds: [...config.alerts.thresholds, ...DEFAULT_THRESHOLDS],
    ...(forward === undefined
      ? {}
      : { forwarder: await forwarderOptions(config, forward, { logger, core }) }),
    ...(config.serial.length === 0 ? {} : { serial: await serialOptions(config.serial, core) }),
  };
}

async function shareFor(...how: Parameters<typeof shareOf>): Promise<OpenShare> {
  const setup = await import("./share-setup.ts");
  return setup.shareOf(...how);
}

/** What brings in devices that do not speak our protocol. */
async function sourcesOf(
  { plain, firmata }: Config,
  parts: {
    readonly core: Core;
    readonly clock: Clock;
    readonly meter: Meter;
    readonly closers: (() => unknown)[];
  },
): Promise<ProxySource[]> {
  const sources: ProxySource[] = [];
  if (firmata.length > 0) sources.push(await firmataSource(firmata, parts.core));
  const { families, rules, controls, plugins } = plain;
  if (families.length + rules.length + plugins.length === 0) return sources;
  const { FAMILY_RULES } = await import("../gateway/plain/families.ts");
  const { PlainSource } = await import("../gateway/plain/plain-source.ts");
  const { ruleDecoder } = await import("../gateway/plain/rule.ts");
  const own = rules.length === 0 ? [] : [ruleDecoder({ rules, controls } as RuleSet)];
  const known = families.map((family) => ruleDecoder(FAMILY_RULES[family]));
  const opened =
    plugins.length === 0 ? undefined : await (await import("./plugin-setup.ts")).openPlugins(plugins, parts);
  if (opened !== undefined) parts.closers.unshift(opened.close);
  return [...sources, new PlainSource([...own, ...known, ...(opened?.decoders ?? [])])];
}

/** Missing packages end the start, as for serial ports. */
async function firmataSource(boards: Config["firmata"], core: Core): Promise<ProxySource> {
  const { FirmataSource } = await import("../gateway/firmata/firmata-source.ts");
  const { johnnyFive, loadFirmata } = await import("../io/firmata.ts");
  const ports = await openPorts(boards);
  await loadFirmata();
  const bindings = boards.map(({ baud, ...board }) => ({ ...board, baudRate: baud }));
  return new FirmataSource(bindings, { ports, driver: johnnyFive(), backoff: backoffOf(core, REOPEN) });
}

/** A missing package ends the start: a link that can never open would only fill the log. */
async function openPorts(links: readonly { readonly port: string }[]): Promise<SerialPorts> {
  const { loadSerial, systemSerial, tcpAddress } = await import("../io/serial.ts");
  if (links.some(({ port }) => tcpAddress(port) === undefined)) await loadSerial();
  return systemSerial();
}

/** Waits between connections to a broker. */
const RECONNECT: BackoffOptions = { baseMs: 1000, capMs: 15_000, jitter: "equal" };

function backoffOf(core: Core, options: BackoffOptions): Backoff {
  return createBackoff({ core, random: systemRandom() }, options);
}

async function serialOptions(serial: Config["serial"], core: Core) {
  const links = serial.map(({ port, baud, device }) => ({ port, baudRate: baud, device }));
  return { ports: await openPorts(serial), links, backoff: backoffOf(core, REOPEN) };
}

async function forwarderOptions(
  config: Config,
  forward: NonNullable<Config["forward"]>,
  { logger, core }: { readonly logger: Logger; readonly core: Core },
) {
  const { forwardLink } = await import("../io/mqtt-forward.ts");
  const clientId = `${forward.clientId}${suffixOf(config)}`;
  const backoff = backoffOf(core, RECONNECT);
  return { target: forward.url, link: forwardLink({ ...forward, clientId, logger, backoff }) };
}

/** Gateways of one site are clients of one broker, which ends the connection of who has another's name. */
function suffixOf({ cluster }: Config): string {
  // No site has a dot in its name.
  return cluster === undefined ? "" : `.${cluster.gateway}`;
}

async function openBroker(
  config: Config,
  parts: {
    readonly meter: Meter;
    readonly logger: Logger;
    readonly clock: Clock;
    readonly core: Core;
    readonly access: AccessControl;
  },
): Promise<Broker> {
  const { mqtt, site } = config;
  const { username, password } = mqtt;
  const { meter, logger, clock, access } = parts;
  if (mqtt.mode === "external") {
    const { openExternalBroker } = await import("../io/mqtt-external.ts");
    return openExternalBroker({
      url: mqtt.url ?? `mqtt://${mqtt.host}:${mqtt.port}`,
      clientId: `tardigrade-gateway-${site}${suffixOf(config)}`,
      will: { topic: bridgeTopic(site, "state"), payload: "offline" },
      ...(username === undefined ? {} : { username }),
      ...(password === undefined ? {} : { password }),
      backoff: backoffOf(parts.core, RECONNECT),
      meter,
      logger,
    });
  }
  const isPassword = password === undefined ? () => false : bearerCheck(password);
  const broker = await openEmbeddedBroker({
    host: mqtt.host,
    port: mqtt.port,
    rules: topicRules(site),
    authenticate: brokerLogin({
      access,
      required: !isLoopback(mqtt.host),
      ...(username === undefined ? {} : { shared: { username, isPassword } }),
    }),
    ...tlsOf(mqtt.tls),
    limits: { clientsMax: config.limits.mqttClients, packetBytesMax: config.limits.mqttPacketBytes },
    meter,
    logger,
  });
  endRevoked(broker, access, clock);
  return broker;
}

/** A connection outlives the credential it was opened with; so it is looked at again. */
function endRevoked(broker: EmbeddedBroker<Principal>, access: AccessControl, clock: Clock): void {
  const look = (): void => {
    broker.endWhere((principal) => !access.isStill(principal));
    clock.alarm(REVOKED_LOOK_MS, look, { background: true });
  };
  look();
}

async function openState(config: Config): Promise<StateStore> {
  if (config.store.state === "memory") return memoryState();
  const path = join(resolve(config.data), "state");
  return openLmdbState({ path });
}
