/**
 * `tardi start`: the main job on one machine. Firmware is compiled, virtual boards replay real series, a gateway stores and
 * forwards what they say, and everything is counted at the end. Gateway and boards are processes of their own, so
 * that killing one is what it would be in the field.
 *
 *   boards process --MQTT--> gateway process --MQTT QoS 2--> downstream broker and counter (here)
 *                                  |
 *                             segment log  <-- counted here, record by record, when the gateway has ended
 */
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { TardigradeError } from "../../protocols/error.ts";
import { systemClock } from "../io/clock.ts";
import { type BoardsFigures, deviceName } from "./boards-run.ts";
import { BridgeClient } from "./bridge-client.ts";
import { type Child, startChild, usageOf } from "./child.ts";
import { countLog } from "./count-log.ts";
import { type Downstream, openDownstream } from "./downstream.ts";
import { LiveTable } from "./live-table.ts";
import { note, printJson, progress } from "./output.ts";
import {
  boardsArguments,
  boardsConfig,
  PICO_PREFIX,
  PREFIX,
  prepareBoards,
  type StartBoards,
  UNO,
} from "./start-boards.ts";

export interface StartOptions {
  /** Seconds; endless without. */
  readonly for?: number;
  readonly report?: string;
  readonly port: number;
  readonly httpPort: number;
  readonly virtual: number;
  /** Emulated Picos wanted; none without the ARM toolchain. */
  readonly pico: number;
  /** An emulated Arduino Uno with Firmata. */
  readonly uno: boolean;
  readonly killGateway?: number;
  readonly csv: string;
  readonly columns: readonly { readonly column: string; readonly low: number; readonly high: number }[];
  readonly app: string;
  readonly site: string;
  /** Kept when given, else a temporary folder that is removed. */
  readonly data?: string;
  readonly json?: boolean;
}

export interface StartReport {
  readonly boards: Readonly<Record<string, number>>;
  readonly telemetry: {
    readonly produced: number;
    readonly stored: number;
    readonly droppedByDevice: number;
    readonly lost: number;
    readonly duplicated: number;
    readonly forwarded: number;
  };
  /** Readings of the emulated Uno, which keeps none itself: what was heard. */
  readonly firmata?: { readonly stored: number; readonly forwarded: number };
  readonly commands: { readonly sent: number; readonly acked: number };
  readonly gateway: { readonly rssMb: number; readonly cpuPercent: number; readonly restarts: number };
  readonly errors: Readonly<Record<string, number>>;
}

const READY_MS = 60_000;
const DRAIN_MS = 60_000;
const UNO_QUIET_MS = 1000;
const STOP_MS = 20_000;
const COMMAND_EVERY_MS = 3_000;
const SAMPLE_MS = 1_000;

class StartRun {
  readonly #options: StartOptions;
  readonly #clock = systemClock();
  readonly #data: string;
  readonly #downstream: Downstream;
  readonly #prepared: StartBoards;
  #gateway: Child | undefined;
  #gatewayReady: () => void = () => {};
  #boards: Child | undefined;
  #figures: BoardsFigures | undefined;
  #bridge: BridgeClient | undefined;
  #restarts = 0;
  /** The boards produce nothing any more. */
  #isPaused = false;
  #stopping = false;
  readonly #commands = { sent: 0, acked: 0 };
  /** Errors by code: of the gateways that ended, and of the one that runs. */
  readonly #errorsBefore = new Map<string, number>();
  #errorsNow = new Map<string, number>();
  #rssPeakBytes = 0;
  #cpuBeforeS = 0;
  #cpuNowS = 0;
  #gatewayMs = 0;

  constructor(options: StartOptions, data: string, downstream: Downstream, prepared: StartBoards) {
    this.#prepared = prepared;
    this.#options = options;
    this.#data = data;
    this.#downstream = downstream;
  }

  async run(): Promise<StartReport> {
    const { virtual, json } = this.#options;
    const picos = this.#prepared.picoPorts.length;
    const uno = this.#prepared.uno !== undefined;
    const wanted = virtual + picos;
    await this.#writeConfig();
    const starting = progress("Starting the gateway");
    // The boards first: the UARTs of Picos are there when the gateway opens them; MQTT clients wait for their broker anyway.
    this.#startBoards();
    await this.#until(
      () => this.#figures !== undefined,
      READY_MS,
      () => {},
    );
    await this.#startGateway();
    starting.done(`MQTT ${this.#mqttUrl}, HTTP http://127.0.0.1:${this.#options.httpPort}`);
    const connecting = progress(
      `Starting ${virtual} virtual boards${picos > 0 ? `, ${picos} emulated Pico${picos > 1 ? "s" : ""}` : ""}${uno ? ", an emulated Uno" : ""}`,
    );
    await this.#until(
      () => (this.#figures?.connected ?? 0) >= wanted,
      READY_MS,
      () => connecting.update(`${this.#figures?.connected ?? 0} of ${wanted} connected`),
    );
    connecting.done(`${this.#figures?.connected ?? 0} connected`);
    this.#bridge = await BridgeClient.open({ url: this.#mqttUrl, site: this.#options.site }, true);
    const view =
      json || !process.stdout.isTTY ? undefined : new LiveTable(this.#bridge.client, this.#options.site);
    await view?.open(() => this.#statusLine());
    await this.#work();
    await view?.close();
    return this.#finish();
  }

  get #mqttUrl(): string {
    return `mqtt://127.0.0.1:${this.#options.port}`;
  }

  get #configPath(): string {
    return join(this.#data, "tardigrade.yaml");
  }

  async #writeConfig(): Promise<void> {
    const { site, port, httpPort } = this.#options;
    const text = [
      `site: ${site}`,
      `data: ${JSON.stringify(join(this.#data, "gateway"))}`,
      "mqtt:",
      "  mode: embedded",
      `  port: ${port}`,
      "http:",
      `  port: ${httpPort}`,
      "forward:",
      `  url: ${this.#downstream.url}`,
      `  clientId: tardigrade-${site}`,
      "log:",
      "  level: warn",
      ...boardsConfig(this.#prepared),
    ];
    await writeFile(this.#configPath, `${text.join("\n")}\n`);
  }

  async #startGateway(): Promise<void> {
    const ready = new Promise<void>((resolve) => {
      this.#gatewayReady = resolve;
    });
    const startedMs = this.#clock.monotonicMs();
    const child = startChild(["gateway", "run", "--config", this.#configPath, "--announce"], (line) => {
      if (line.type === "ready") this.#gatewayReady();
    });
    this.#gateway = child;
    const ended = child.exited.then((how) => {
      this.#gatewayMs += this.#clock.monotonicMs() - startedMs;
      this.#cpuBeforeS += this.#cpuNowS;
      this.#cpuNowS = 0;
      for (const [code, count] of this.#errorsNow) {
        this.#errorsBefore.set(code, (this.#errorsBefore.get(code) ?? 0) + count);
      }
      this.#errorsNow = new Map();
      if (!this.#stopping && how !== "SIGKILL") {
        throw new TardigradeError(
          "GATEWAY_UNREACHABLE",
          `The gateway ended by itself (${how}); its last words stand above.`,
        );
      }
    });
    await Promise.race([ready, ended, this.#timeout(READY_MS, "The gateway was not ready")]);
    ended.catch((error: unknown) => {
      this.#failure ??= error;
    });
  }

  #failure: unknown;

  #timeout(ms: number, what: string): Promise<never> {
    return new Promise((_, reject) => {
      this.#clock.alarm(
        ms,
        () => reject(new TardigradeError("GATEWAY_UNREACHABLE", `${what} within ${ms / 1000} s.`)),
        { background: true },
      );
    });
  }

  #startBoards(): void {
    const args = boardsArguments(this.#options, this.#prepared, this.#mqttUrl);
    this.#boards = startChild(args, (line) => {
      this.#isPaused ||= line.type === "paused";
      if (/^(?:figures|paused|final)$/.test(String(line.type)))
        this.#figures = line as unknown as BoardsFigures;
    });
    this.#boards.exited.then((how) => {
      if (!this.#stopping)
        this.#failure ??= new TardigradeError("INTERNAL", `The boards' process ended by itself (${how}).`);
    });
  }

  /** Until the time is over or somebody presses Ctrl-C: commands, samples, and the gateway killed on its beat. */
  async #work(): Promise<void> {
    const { killGateway } = this.#options;
    const startMs = this.#clock.monotonicMs();
    const endMs = startMs + (this.#options.for ?? Number.POSITIVE_INFINITY) * 1000;
    let interrupted = false;
    const interrupt = () => {
      interrupted = true;
    };
    process.once("SIGINT", interrupt);
    process.once("SIGTERM", interrupt);
    let nextKillMs = killGateway === undefined ? Number.POSITIVE_INFINITY : startMs + killGateway * 1000;
    let nextCommandMs = startMs;
    let nextLineMs = startMs;
    while (!interrupted && this.#failure === undefined && this.#clock.monotonicMs() < endMs) {
      const nowMs = this.#clock.monotonicMs();
      if (nowMs >= nextKillMs) {
        await this.#killGateway();
        nextKillMs = Math.max(nextKillMs + (killGateway ?? 0) * 1000, this.#clock.monotonicMs() + 1_000);
      }
      if (nowMs >= nextCommandMs) {
        nextCommandMs = nowMs + COMMAND_EVERY_MS;
        this.#command();
      }
      this.#sample();
      await this.#sampleErrors();
      if (!process.stdout.isTTY && !this.#options.json && nowMs >= nextLineMs) {
        nextLineMs = nowMs + 10_000;
        note(this.#statusLine());
      }
      await this.#sleep(
        Math.min(SAMPLE_MS, Math.max(0, Math.min(endMs, nextKillMs) - this.#clock.monotonicMs())),
      );
    }
    process.removeListener("SIGINT", interrupt);
    process.removeListener("SIGTERM", interrupt);
    if (this.#failure !== undefined) throw this.#failure;
  }

  async #killGateway(): Promise<void> {
    this.#sample();
    const child = this.#gateway;
    child?.process.kill("SIGKILL");
    await child?.exited;
    this.#restarts += 1;
    await this.#startGateway();
  }

  #command(): void {
    const { virtual } = this.#options;
    const index = this.#commands.sent % (virtual + this.#prepared.picoPorts.length);
    const device = index < virtual ? deviceName(PREFIX, index) : deviceName(PICO_PREFIX, index - virtual);
    this.#commands.sent += 1;
    this.#bridge?.request("command", { device, name: "water", args: { seconds: 1 } }).then(
      () => {
        this.#commands.acked += 1;
      },
      () => {
        // Counted as sent and not answered: the gateway may just have been killed.
      },
    );
  }

  #sample(): void {
    const usage = usageOf(this.#gateway?.process.pid);
    if (usage === undefined) return;
    this.#rssPeakBytes = Math.max(this.#rssPeakBytes, usage.rssBytes);
    this.#cpuNowS = usage.cpuS;
  }

  async #sampleErrors(): Promise<void> {
    try {
      const errors = (await this.#bridge?.request("errors", {}, 1_000)) as readonly {
        code: string;
        count: number;
      }[];
      const now = new Map<string, number>();
      for (const { code, count } of errors) now.set(code, (now.get(code) ?? 0) + count);
      this.#errorsNow = now;
    } catch {
      // The next sample has them.
    }
  }

  #statusLine(): string {
    const { produced = 0, held = 0, dropped = 0 } = this.#figures ?? {};
    return `produced ${produced}, waiting on boards ${held} messages, dropped ${dropped}, forwarded ${this.#downstream.readings}, gateway restarts ${this.#restarts}`;
  }

  /** Lets everything arrive, ends the processes, counts. */
  async #finish(): Promise<StartReport> {
    const draining = progress("Draining");
    this.#boards?.send("pause");
    await this.#until(
      () => this.#isPaused && this.#figures?.held === 0 && this.#figures.batched === 0,
      DRAIN_MS,
      () => draining.update(`${this.#figures?.held ?? 0} messages on boards`),
    );
    const expected = (this.#figures?.produced ?? 0) - (this.#figures?.dropped ?? 0);
    await this.#until(
      () => this.#downstream.readings - this.#downstream.readingsOf(UNO) >= expected,
      DRAIN_MS,
      () => draining.update(`${this.#downstream.readings} of ${expected} readings forwarded`),
    );
    await this.#untilUnoIsQuiet();
    await this.#sampleErrors();
    this.#sample();
    await this.stop();
    draining.done();
    const counting = progress("Counting the log");
    const log = await countLog(join(this.#data, "gateway"), { apart: new Set([UNO]) });
    counting.done(`${log.records} records`);
    return this.#reportOf(log);
  }

  /** The Uno counts nothing, so its last readings have come when no more do. */
  async #untilUnoIsQuiet(): Promise<void> {
    if (this.#prepared.uno === undefined) return;
    let count = -1;
    let sinceMs = 0;
    await this.#until(
      () => {
        const now = this.#downstream.readingsOf(UNO);
        if (now !== count) sinceMs = this.#clock.monotonicMs();
        count = now;
        return this.#clock.monotonicMs() - sinceMs >= UNO_QUIET_MS;
      },
      DRAIN_MS,
      () => {},
    );
  }

  #reportOf(log: Awaited<ReturnType<typeof countLog>>): StartReport {
    const produced = this.#figures?.produced ?? 0;
    const forwarded = this.#downstream.readings;
    // What the Uno says it counts nowhere: its readings are compared from the log on.
    const apart = this.#downstream.readingsOf(UNO);
    const forwardedOthers = forwarded - apart;
    const missing =
      Math.max(0, produced - log.dropped - log.stored, log.stored - forwardedOthers) +
      Math.max(0, log.apart - apart);
    const errors = new Map(this.#errorsBefore);
    return {
      boards: {
        virtual: this.#figures?.boards ?? 0,
        ...(this.#figures?.picos ? { pico: this.#figures.picos } : {}),
        ...(this.#prepared.uno === undefined ? {} : { uno: 1 }),
      },
      telemetry: {
        produced,
        stored: log.stored,
        droppedByDevice: log.dropped,
        lost: missing,
        duplicated: log.duplicated + this.#downstream.duplicated,
        forwarded: forwardedOthers,
      },
      ...(this.#prepared.uno === undefined ? {} : { firmata: { stored: log.apart, forwarded: apart } }),
      commands: this.#commands,
      gateway: {
        rssMb: Math.round(this.#rssPeakBytes / 1e5) / 10,
        cpuPercent: Math.round((this.#cpuBeforeS / Math.max(0.001, this.#gatewayMs / 1000)) * 1000) / 10,
        restarts: this.#restarts,
      },
      errors: Object.fromEntries(errors),
    };
  }

  /** Ends what this run started, by its process ids. */
  async stop(): Promise<void> {
    this.#stopping = true;
    await this.#bridge?.close();
    // The gateway first: it would only complain of boards that vanish.
    this.#gateway?.process.kill("SIGTERM");
    await this.#end(this.#gateway);
    this.#boards?.send("stop");
    await this.#end(this.#boards);
  }

  async #end(child: Child | undefined): Promise<void> {
    if (child === undefined) return;
    const cancel = this.#clock.alarm(STOP_MS, () => child.process.kill("SIGKILL"), { background: true });
    await child.exited;
    cancel();
  }

  async #until(condition: () => boolean, limitMs: number, tick: () => void): Promise<void> {
    const endMs = this.#clock.monotonicMs() + limitMs;
    while (!condition() && this.#failure === undefined && this.#clock.monotonicMs() < endMs) {
      tick();
      await this.#sleep(100);
    }
    if (this.#failure !== undefined) throw this.#failure;
  }

  #sleep(ms: number): Promise<void> {
    return new Promise((resolve) => {
      this.#clock.alarm(ms, resolve);
    });
  }
}

/** Resolves with the exit code: 1 when a reading was lost or came twice. */
export async function startCommand(options: StartOptions): Promise<number> {
  const data = options.data ?? (await mkdtemp(join(tmpdir(), "tardigrade-")));
  const boards = await prepareBoards(options, data);
  const downstream = await openDownstream(options.site);
  const run = new StartRun(options, data, downstream, boards);
  try {
    const report = await run.run();
    if (options.report !== undefined) await writeFile(options.report, `${JSON.stringify(report, null, 2)}\n`);
    if (options.json) printJson(report);
    else summarize(report);
    return report.telemetry.lost === 0 && report.telemetry.duplicated === 0 ? 0 : 1;
  } finally {
    await run.stop();
    await downstream.close();
    if (options.data === undefined) await rm(data, { recursive: true, force: true });
  }
}

function summarize({ telemetry, firmata, commands, gateway }: StartReport): void {
  note(
    `${telemetry.produced} readings produced, ${telemetry.stored} stored, ${telemetry.droppedByDevice} dropped by devices, ` +
      `${telemetry.lost} lost, ${telemetry.duplicated} duplicated, ${telemetry.forwarded} forwarded.`,
  );
  if (firmata !== undefined)
    note(`The Uno, which keeps nothing: ${firmata.stored} readings stored, ${firmata.forwarded} forwarded.`);
  note(
    `${commands.acked} of ${commands.sent} commands answered. Gateway: ${gateway.rssMb} MB, ${gateway.cpuPercent} % of a core, ${gateway.restarts} restarts.`,
  );
}
