/**
 * Commands: asked once, sent with one id until the device answers or the time is up. The id is what makes repeating safe: a
 * device answers an id it has seen from memory. Ids start above the highest in the log and above the seconds of the wall
 * clock, so that no gateway's life uses one again even if the log was lost; or anywhere, where several gateways share a site: a device remembers eight.
 */
import { errorCodeOf, TardigradeError } from "../../protocols/error.ts";
import type { Command, CommandResult, Message, Value } from "../../protocols/messages.generated.ts";
import { ERRORS, LIMITS } from "../../protocols/table.ts";
import type { Clock, Dispose } from "../io/seams.ts";
import type { ErrorMonitor } from "./error-monitor.ts";
import type { Ledger } from "./ledger.ts";
import type { CommandView } from "./service.ts";
import { problemOf } from "./shadows.ts";

export const OUTSTANDING_MAX = 8;
export const RESEND_MS = 2000;
export const TIMEOUT_MS = 10_000;
export const TIMEOUT_MS_MAX = 600_000;
const U32 = 0x1_0000_0000;

export interface CommandsOptions {
  readonly ledger: Ledger;
  readonly clock: Clock;
  readonly monitor: ErrorMonitor;
  readonly send: (device: string, message: Message) => void;
  readonly isKnown: (device: string) => boolean;
  readonly onChange: (view: CommandView, offset: number) => void;
  /** Highest id in the log. */
  readonly lastId: number;
  /** Where several gateways give ids to one device: begins at a random one, since clocks and logs of gateways are alike. */
  readonly randomId?: number;
}

interface Outstanding {
  readonly device: string;
  readonly command: Command;
  readonly sentMs: number;
  readonly resolve: (view: CommandView) => void;
  readonly reject: (error: TardigradeError) => void;
  stopResend: Dispose;
  stopTimeout: Dispose;
}

export class Commands {
  readonly #options: CommandsOptions;
  readonly #outstanding = new Map<string, Map<number, Outstanding>>();
  readonly totals = { sent: 0, acked: 0 };
  #lastId: number;

  constructor(options: CommandsOptions) {
    this.#options = options;
    this.#lastId =
      options.randomId ?? Math.max(options.lastId, Math.floor(options.clock.wallMs() / 1000) % U32);
  }

  /** Resolves when the device answered. Rejects with COMMAND_TIMEOUT, COMMAND_REJECTED, DEVICE_UNKNOWN, QUEUE_FULL, REQUEST_INVALID. */
  async run(
    device: string,
    request: {
      readonly name: string;
      readonly args?: Readonly<Record<string, Value>>;
      readonly timeoutMs?: number;
    },
  ): Promise<CommandView> {
    const asked = this.#command(device, request);
    const waiting = this.#outstanding.get(device) ?? new Map<number, Outstanding>();
    if (waiting.size >= OUTSTANDING_MAX) {
      throw problem(
        "QUEUE_FULL",
        device,
        `${device} has ${waiting.size} commands unanswered; wait for one of them.`,
      );
    }
    const timeoutMs = Math.min(Math.max(request.timeoutMs ?? TIMEOUT_MS, 1), TIMEOUT_MS_MAX);
    const { ledger } = this.#options;
    const offset = ledger.append({ type: "command", command: asked }, { device });
    const command: Command = { ...asked, hlc: ledger.lastStamp };
    this.#lastId = command.id;
    const answered = new Promise<CommandView>((resolve, reject) => {
      const outstanding: Outstanding = {
        device,
        command,
        sentMs: this.#options.clock.wallMs(),
        resolve,
        reject,
        stopResend: () => {},
        stopTimeout: this.#options.clock.alarm(timeoutMs, () =>
          this.#timedOut(device, command.id, timeoutMs),
        ),
      };
      waiting.set(command.id, outstanding);
      this.#outstanding.set(device, waiting);
      // On disk before it is sent: an id must not be used twice, whatever happens to this process.
      ledger.durable(offset).then(
        () => this.#begin(outstanding, offset),
        (error: TardigradeError) => this.#drop(outstanding)?.reject(error),
      );
    });
    return answered;
  }

  /** A commandResult came; false when nobody waits for it. */
  answer(device: string, result: CommandResult): boolean {
    const outstanding = this.#take(device, result.id);
    if (outstanding === undefined) return false;
    const code = errorCodeOf(result.code) ?? "COMMAND_FAILED";
    const base = this.#view(outstanding);
    const endedMs = this.#options.clock.wallMs();
    const value = result.result === undefined ? {} : { result: result.result };
    if (result.code === 0) {
      this.totals.acked += 1;
      const view: CommandView = { ...base, state: "acked", endedMs, ...value };
      this.#end(view);
      outstanding.resolve(view);
      return true;
    }
    const view: CommandView = { ...base, state: "failed", code, endedMs, ...value };
    this.#end(view);
    const message = `${device} refused ${outstanding.command.name}: ${ERRORS[code].help}`;
    this.#options.monitor.report("COMMAND_REJECTED", { component: "commands", device, message });
    outstanding.reject(problem("COMMAND_REJECTED", device, message, { deviceCode: code, id: result.id }));
    return true;
  }

  /** Sends again what a device with a new session may not have. */
  reopened(device: string): void {
    for (const outstanding of this.#outstanding.get(device)?.values() ?? []) {
      this.#options.send(device, outstanding.command);
    }
  }

  /** Its commands end with the error; whether they were carried out is not known. */
  abandon(device: string, error: TardigradeError): void {
    for (const outstanding of [...(this.#outstanding.get(device)?.values() ?? [])])
      this.#drop(outstanding)?.reject(error);
  }

  close(): void {
    for (const waiting of [...this.#outstanding.values()]) {
      for (const outstanding of [...waiting.values()]) {
        const message = "The gateway is closing; the command's outcome is unknown.";
        this.#drop(outstanding)?.reject(problem("COMMAND_TIMEOUT", outstanding.device, message));
      }
    }
  }

  #command(
    device: string,
    request: { readonly name: string; readonly args?: Readonly<Record<string, Value>> },
  ): Command {
    if (!this.#options.isKnown(device)) {
      throw problem("DEVICE_UNKNOWN", device, `No device "${device}" has said hello to this gateway.`);
    }
    const args = Object.entries(request.args ?? {}).map(([key, value]) => ({ key, value }));
    const wrong = problemOf(request.name, true);
    if (wrong !== undefined) throw problem("REQUEST_INVALID", device, `The command's name ${wrong}.`);
    if (args.length > LIMITS.COMMAND_ARGS_MAX) {
      throw problem("REQUEST_INVALID", device, `A command has at most ${LIMITS.COMMAND_ARGS_MAX} arguments.`);
    }
    for (const { key, value } of args) {
      const invalid = value === null ? "must not be null" : problemOf(key, value);
      if (invalid !== undefined)
        throw problem("REQUEST_INVALID", device, `The argument "${key}" ${invalid}.`);
    }
    return { kind: "command", id: (this.#lastId + 1) % U32, name: request.name, args };
  }

  #begin(outstanding: Outstanding, offset: number): void {
    const { device, command } = outstanding;
    if (this.#outstanding.get(device)?.get(command.id) !== outstanding) return;
    this.totals.sent += 1;
    this.#options.onChange(this.#view(outstanding), offset);
    this.#sendAndRepeat(outstanding);
  }

  #sendAndRepeat(outstanding: Outstanding): void {
    this.#options.send(outstanding.device, outstanding.command);
    outstanding.stopResend = this.#options.clock.alarm(RESEND_MS, () => this.#sendAndRepeat(outstanding));
  }

  #timedOut(device: string, id: number, timeoutMs: number): void {
    const outstanding = this.#take(device, id);
    if (outstanding === undefined) return;
    this.#end({
      ...this.#view(outstanding),
      state: "timeout",
      code: "COMMAND_TIMEOUT",
      endedMs: this.#options.clock.wallMs(),
    });
    const message = `${device} did not answer ${outstanding.command.name} within ${timeoutMs} ms.`;
    this.#options.monitor.report("COMMAND_TIMEOUT", { component: "commands", device, message });
    outstanding.reject(problem("COMMAND_TIMEOUT", device, message, { id }));
  }

  #end(view: CommandView): void {
    const result: CommandResult = {
      kind: "commandResult",
      id: view.id,
      code: view.code === undefined ? 0 : ERRORS[view.code].number,
      ...(view.result === undefined ? {} : { result: view.result }),
    };
    let offset = -1;
    try {
      offset = this.#options.ledger.append({ type: "commandEnd", result }, { device: view.device });
    } catch {
      // The caller is told all the same; only the audit line is missing while the log is full, which has its own alert.
    }
    this.#options.onChange(view, offset);
  }

  #view(outstanding: Outstanding): CommandView {
    const { device, command, sentMs } = outstanding;
    return { device, id: command.id, name: command.name, state: "sent", sentMs };
  }

  #take(device: string, id: number): Outstanding | undefined {
    const outstanding = this.#outstanding.get(device)?.get(id);
    return outstanding === undefined ? undefined : this.#drop(outstanding);
  }

  #drop(outstanding: Outstanding): Outstanding | undefined {
    const waiting = this.#outstanding.get(outstanding.device);
    if (waiting?.delete(outstanding.command.id) !== true) return undefined;
    if (waiting.size === 0) this.#outstanding.delete(outstanding.device);
    outstanding.stopResend();
    outstanding.stopTimeout();
    return outstanding;
  }
}

function problem(
  code: "COMMAND_TIMEOUT" | "COMMAND_REJECTED" | "DEVICE_UNKNOWN" | "QUEUE_FULL" | "REQUEST_INVALID",
  device: string,
  message: string,
  context: Readonly<Record<string, string | number>> = {},
): TardigradeError {
  return new TardigradeError(code, message, { context: { component: "commands", device, ...context } });
}
