/** Asks a gateway over MQTT, on whatever broker it uses: `bridge/request/<verb>`, answered on `bridge/response/<verb>`. */
import { connectAsync, type MqttClient } from "mqtt";
import { TardigradeError } from "../../protocols/error.ts";
import { errorFromJSON } from "../../protocols/error-from-json.ts";
import { bridgeTopic } from "../../protocols/topic.ts";
import { systemClock } from "../io/clock.ts";
import { systemRandom } from "../io/random.ts";
import type { Dispose } from "../io/seams.ts";

export interface BridgeOptions {
  readonly url: string;
  readonly site: string;
  readonly username?: string;
  readonly password?: string;
}

const CONNECT_MS = 5_000;
const ANSWER_MS = 5_000;
const ANSWER_BYTES_MAX = 4 * 1024 * 1024;

interface Pending {
  resolve(data: unknown): void;
  reject(error: Error): void;
  readonly cancelTimeout: Dispose;
}

export class BridgeClient {
  readonly client: MqttClient;
  readonly site: string;
  readonly #clock = systemClock();
  readonly #pending = new Map<string, Pending>();
  #transactions = 0;

  private constructor(client: MqttClient, site: string) {
    this.client = client;
    this.site = site;
    client.on("message", (topic, payload) => {
      if (topic.startsWith(bridgeTopic(site, "response/"))) this.#answered(payload);
    });
  }

  /** Rejects with BROKER_UNREACHABLE. `reconnect` keeps the connection alive for long-running commands. */
  static async open(options: BridgeOptions, reconnect = false): Promise<BridgeClient> {
    const name = `tardi-cli-${process.pid}-${systemRandom().u32().toString(16)}`;
    try {
      const client = await connectAsync(options.url, {
        clientId: name,
        connectTimeout: CONNECT_MS,
        reconnectPeriod: reconnect ? 1_000 : 0,
        ...(options.username === undefined ? {} : { username: options.username }),
        ...(options.password === undefined ? {} : { password: options.password }),
      });
      client.on("error", () => {
        // Requests time out with their own error.
      });
      const bridge = new BridgeClient(client, options.site);
      await client.subscribeAsync(bridgeTopic(options.site, "response/#"), { qos: 1 });
      return bridge;
    } catch (cause) {
      if (cause instanceof TardigradeError) throw cause;
      const reason =
        cause instanceof Error ? cause.message || (cause as NodeJS.ErrnoException).code : String(cause);
      throw new TardigradeError(
        "BROKER_UNREACHABLE",
        `No MQTT broker answers at ${options.url} (${reason}). Start a gateway with \`tardi gateway run\`, or name a broker with --url.`,
        { cause },
      );
    }
  }

  /** Rejects with the gateway's own error, or GATEWAY_UNREACHABLE when no gateway answers for this site. */
  request(
    verb: string,
    body: Readonly<Record<string, unknown>> = {},
    timeoutMs: number = ANSWER_MS,
  ): Promise<unknown> {
    this.#transactions += 1;
    const transaction = `${process.pid}-${this.#transactions}`;
    return new Promise((resolve, reject) => {
      const cancelTimeout = this.#clock.alarm(timeoutMs, () => {
        this.#pending.delete(transaction);
        reject(
          new TardigradeError(
            "GATEWAY_UNREACHABLE",
            `No gateway of site "${this.site}" answered "${verb}" within ${timeoutMs / 1000} s. Is the site's name right (--site)?`,
          ),
        );
      });
      this.#pending.set(transaction, { resolve, reject, cancelTimeout });
      this.client.publish(
        bridgeTopic(this.site, `request/${verb}`),
        JSON.stringify({ ...body, transaction }),
        { qos: 1 },
      );
    });
  }

  #answered(payload: Buffer): void {
    if (payload.length > ANSWER_BYTES_MAX) return;
    const answer = parse(payload.toString());
    const pending = this.#pending.get(String(answer?.transaction));
    if (answer === undefined || pending === undefined) return;
    this.#pending.delete(String(answer.transaction));
    pending.cancelTimeout();
    if (answer.status === "ok") return pending.resolve(answer.data);
    pending.reject(errorFromJSON(answer.error));
  }

  async close(): Promise<void> {
    for (const { cancelTimeout } of this.#pending.values()) cancelTimeout();
    this.#pending.clear();
    await this.client.endAsync(true);
  }
}

function parse(text: string): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === "object" && value !== null ? (value as Record<string, unknown>) : undefined;
  } catch {
    return undefined;
  }
}
