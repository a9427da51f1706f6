/**
 * A plugin as a decoder: messages wait in a bounded queue, pass a circuit breaker, and what comes back is checked.
 *
 *   decode(), encode() --> bulkhead (one at a time, QUEUE_MAX in all) --> breaker --> runner (a thread) --> check --> readings, states, publish
 *                            | full                | open         | trap, time, memory   | garbage
 *                            '---------------------'--------------'----------------------'--> one message is left out, counted
 *
 * A failure costs its message and nothing else. FAILURES_MAX of them in a row open the breaker for OPEN_MS, during which messages are left
 * out unseen: a plugin that fails on everything would have a thread started for each message otherwise. A plugin that says that it cannot
 * read a message (PLUGIN_REFUSED) works; the device is to blame.
 *
 * An open breaker is a restart, and a restart that did not help OPENINGS_MAX times within OPENINGS_PERIOD_MS climbs the ladder of
 * host/core/recovery.ts: the plugin is isolated for ISOLATED_MS, and each message meanwhile is left out with PLUGIN_ISOLATED, which is an alert.
 */
import { isTardigradeError, TardigradeError } from "../../../protocols/error.ts";
import type { ErrorCode } from "../../../protocols/table.ts";
import type { Core } from "../../core/core.ts";
import { createBulkhead } from "../../core/policy/bulkhead.ts";
import { type CircuitBreaker, createCircuitBreaker } from "../../core/policy/circuit-breaker.ts";
import type { Policy } from "../../core/policy/policy.ts";
import { wrap } from "../../core/policy/wrap.ts";
import { RecoveryLadder, recover } from "../../core/recovery.ts";
import type { Clock, Meter, PluginCall, PluginRunner } from "../../io/seams.ts";
import type { Decoder } from "./decoder.ts";
import { decodedOf, publishOf } from "./plugin-output.ts";

/** Calls that wait for their turn; more are refused with QUEUE_FULL. */
export const QUEUE_MAX = 64;
export const FAILURES_MAX = 5;
export const OPEN_MS = 10_000;
export const OPENINGS_MAX = 6;
export const OPENINGS_PERIOD_MS = 300_000;
export const ISOLATED_MS = 900_000;

/** What says that the plugin is broken. */
const FAILURES: ReadonlySet<ErrorCode> = new Set([
  "PLUGIN_TRAP",
  "PLUGIN_TIMEOUT",
  "PLUGIN_MEMORY",
  "PLUGIN_OUTPUT",
  "INTERNAL",
]);

export interface PluginDecoderOptions {
  readonly runner: PluginRunner;
  /** First part of its devices' ids, and the plugin's name in metrics and reports. */
  readonly family: string;
  /** Messages it gets. */
  readonly filters: readonly string[];
  /** Where it may publish. */
  readonly publish: readonly string[];
  readonly core: Core;
  readonly clock: Clock;
  readonly meter: Meter;
}

export function pluginDecoder(options: PluginDecoderOptions): Decoder {
  const { family, filters, publish } = options;
  const calls = new PluginCalls(options);
  return {
    component: `plugin ${family}`,
    filters,
    decode: (topic, payload) =>
      calls.run({ kind: "decode", topic, payload }, (answer) => decodedOf(answer, family)),
    encode: (device, state, value) =>
      calls.run({ kind: "encode", device, state, value }, (answer) => publishOf(answer, publish)),
  };
}

class PluginCalls {
  readonly #options: PluginDecoderOptions;
  readonly #breaker: CircuitBreaker;
  readonly #policy: Policy;
  readonly #ladder: RecoveryLadder;
  #isolatedUntilMs = Number.NEGATIVE_INFINITY;

  constructor(options: PluginDecoderOptions) {
    this.#options = options;
    const { meter, family } = options;
    this.#breaker = createCircuitBreaker(options, {
      name: `plugin ${family}`,
      meter,
      consecutiveFailures: FAILURES_MAX,
      openMs: OPEN_MS,
      classify: (error) => (FAILURES.has(codeOf(error)) ? "failure" : "success"),
    });
    const queue = createBulkhead(options, {
      name: `plugin ${family} queue`,
      meter,
      limit: 1,
      queue: QUEUE_MAX - 1,
    });
    this.#policy = wrap(queue, this.#breaker);
    this.#ladder = new RecoveryLadder({
      nowMs: () => options.clock.monotonicMs(),
      limit: OPENINGS_MAX,
      periodMs: OPENINGS_PERIOD_MS,
      // One costs its message; so many in a row that the breaker opens are the plugin's.
      overrides: { PLUGIN_OUTPUT: "restart", INTERNAL: "restart" },
    });
  }

  /** In the order of the calls. */
  async run<T>(call: PluginCall, check: (answer: unknown) => T): Promise<Awaited<T>> {
    const { runner, clock, meter, family } = this.#options;
    const isolatedMs = Math.ceil(this.#isolatedUntilMs - clock.monotonicMs());
    if (isolatedMs > 0) {
      throw this.#counted("PLUGIN_ISOLATED", `it is left out; it is tried again in ${isolatedMs} ms`);
    }
    try {
      return await this.#policy.execute(async () => {
        const startMs = clock.monotonicMs();
        const answer = await runner.call(call);
        meter.duration("tardigrade_plugin_call_seconds", clock.monotonicMs() - startMs, { plugin: family });
        return check(answer);
      });
    } catch (error) {
      const code = codeOf(error);
      if (code === "BULKHEAD_FULL")
        throw this.#counted("QUEUE_FULL", `${QUEUE_MAX} messages wait for it already`);
      if (code === "BREAKER_OPEN") {
        const waitMs = Math.ceil(this.#breaker.waitMs);
        throw this.#counted(
          code,
          `it failed ${FAILURES_MAX} times in a row; it is tried again in ${waitMs} ms`,
        );
      }
      const failure = this.#counted(code, error instanceof Error ? error.message : String(error), error);
      if (FAILURES.has(code) && this.#breaker.state === "open") this.#opened(failure);
      throw failure;
    }
  }

  /** The runner starts it anew by itself: to restart is nothing more to do here. */
  #opened(failure: TardigradeError): void {
    recover<void>(
      failure,
      {
        restart: () => undefined,
        isolate: () => {
          this.#isolatedUntilMs = this.#options.clock.monotonicMs() + ISOLATED_MS;
        },
      },
      { ladder: this.#ladder },
    );
  }

  #counted(code: ErrorCode, reason: string, cause?: unknown): TardigradeError {
    const { family, meter } = this.#options;
    meter.count("tardigrade_plugin_failures_total", { plugin: family, code });
    // The runner's own messages name the plugin already.
    const message = reason.startsWith("Plugin ") ? reason : `Plugin ${family}: ${reason}.`;
    return new TardigradeError(code, message, {
      ...(cause === undefined ? {} : { cause }),
      context: { component: `plugin ${family}` },
    });
  }
}

function codeOf(error: unknown): ErrorCode {
  return isTardigradeError(error) ? error.code : "INTERNAL";
}
