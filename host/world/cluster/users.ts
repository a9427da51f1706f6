/** Clients that whoever runs a world brings along: their program against the replicated store, in virtual time. */
import { KvClient } from "../../cluster/client/kv-client.ts";
import type { Core } from "../../core/core.ts";
import { createBackoff } from "../../core/policy/backoff.ts";
import type { Random } from "../../io/seams.ts";
import type { SimulatedClock } from "../clock.ts";
import type { PeerNetwork } from "../peer-network.ts";
import type { SeededRandom } from "../random.ts";
import { simulatedChannels } from "./channels.ts";
import type { SimulatedNode } from "./simulated-node.ts";

export interface WorldUserContext {
  /** The shipped client; its calls fail as in a real outage. */
  readonly kv: KvClient;
  /** Of this user alone, from the seed. */
  readonly random: Random;
  /** Virtual milliseconds since the world began. */
  nowMs(): number;
  /** Lets virtual time pass. Never wait for anything else: a real timer or file would make the run differ from the next. */
  sleep(ms: number): Promise<void>;
  /** Faults go on. Afterwards the cluster is whole again, and a user should come to its end. */
  isRunning(): boolean;
}

/** Rejecting, or throwing, is a violation. Resolves when it has nothing more to do. */
export type WorldUser = (context: WorldUserContext) => Promise<void>;

export interface UsersOptions {
  readonly core: Core;
  readonly clock: SimulatedClock;
  readonly random: SeededRandom;
  readonly network: PeerNetwork;
  readonly processes: ReadonlyMap<number, SimulatedNode>;
  readonly endpoints: readonly string[];
  readonly users: readonly WorldUser[];
  readonly onFailure: (what: string) => void;
}

/** Hosts of users, beside those of nodes and of built-in clients. */
const FIRST_HOST = 2000;

export class Users {
  readonly #options: UsersOptions;
  readonly #clients: KvClient[] = [];
  #left: number;
  #running = true;

  constructor(options: UsersOptions) {
    this.#options = options;
    this.#left = options.users.length;
  }

  get areDone(): boolean {
    return this.#left === 0;
  }

  start(): void {
    const { core, clock, network, processes, endpoints, users, onFailure } = this.#options;
    for (const [number, user] of users.entries()) {
      const random = this.#options.random.fork(`user ${number}`);
      const host = FIRST_HOST + number;
      const kv = new KvClient({
        ...{ endpoints, clock },
        open: simulatedChannels({ network, clock, random: random.fork("channels"), processes, host }),
        backoff: createBackoff({ core, random: random.fork("backoff") }, { baseMs: 10, capMs: 300 }),
      });
      this.#clients.push(kv);
      const context: WorldUserContext = {
        ...{ kv, random },
        nowMs: () => clock.monotonicMs(),
        sleep: (ms) => new Promise((resolve) => clock.alarm(ms, resolve)),
        isRunning: () => this.#running,
      };
      Promise.resolve(context)
        .then(user)
        .then(
          () => {
            this.#left -= 1;
          },
          (error: unknown) => {
            this.#left -= 1;
            onFailure(`user ${number}: ${error instanceof Error ? error.message : String(error)}`);
          },
        );
    }
  }

  /** Faults are over. */
  wind(): void {
    this.#running = false;
  }
  close(): void {
    for (const client of this.#clients) client.close();
  }
}
