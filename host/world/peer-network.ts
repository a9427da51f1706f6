/**
 * The network between the nodes of a simulated cluster: each message by itself, delayed, lost, doubled or overtaken by a later one, and ways
 * that are cut in one direction only. It is a PeerTransport that is worse than the real one, which keeps the order of a connection.
 */
import type { PeerTransport } from "../cluster/transport/peer-transport.ts";
import type { Clock } from "../io/seams.ts";
import type { SeededRandom } from "./random.ts";

/** Of a message, on its way from one host to another. Shares are from 0 to 1. */
export interface LinkWeather {
  readonly loss: number;
  readonly duplication: number;
  readonly delayMsMin: number;
  readonly delayMsMax: number;
}

export const CALM_LINK: LinkWeather = { loss: 0, duplication: 0, delayMsMin: 0.2, delayMsMax: 0.5 };

/** Sees every message as it leaves and as it is taken. */
export interface NetworkWitness {
  sent(from: number, to: number, message: Uint8Array): void;
  delivered(from: number, to: number, message: Uint8Array): void;
}

export class PeerNetwork {
  readonly #clock: Clock;
  readonly #random: SeededRandom;
  readonly #listeners = new Map<number, (from: number, message: Uint8Array) => void>();
  /** "from to" */
  readonly #cut = new Set<string>();
  weather: LinkWeather = CALM_LINK;
  witness: NetworkWitness | undefined;
  /** Messages that arrived. */
  delivered = 0;

  constructor(options: { readonly clock: Clock; readonly random: SeededRandom }) {
    this.#clock = options.clock;
    this.#random = options.random;
  }

  /** Nothing goes from one to the other; the way back is another. */
  cut(from: number, to: number): void {
    this.#cut.add(`${from} ${to}`);
  }
  heal(): void {
    this.#cut.clear();
  }
  isCut(from: number, to: number): boolean {
    return this.#cut.size > 0 && this.#cut.has(`${from} ${to}`);
  }

  /** Lets `deliver` be called for each copy that arrives. What is cut when it would arrive does not. */
  carry(from: number, to: number, deliver: () => void): void {
    const { loss, duplication, delayMsMin, delayMsMax } = this.weather;
    const random = this.#random;
    const copies = duplication > 0 && random.chance(duplication) ? 2 : 1;
    for (let copy = 0; copy < copies; copy += 1) {
      if (this.isCut(from, to) || (loss > 0 && random.chance(loss))) continue;
      this.#clock.alarm(delayMsMin + random.unit() * (delayMsMax - delayMsMin), () => {
        if (this.isCut(from, to)) return;
        this.delivered += 1;
        deliver();
      });
    }
  }

  /** One process's end; closed when the process dies. `run` lets what arrives wait while the process is paused. */
  transport(id: number, run: (call: () => void) => void): PeerTransport {
    const listeners = new Set<(from: number, message: Uint8Array) => void>();
    const receive = (from: number, message: Uint8Array): void => {
      run(() => {
        this.witness?.delivered(from, id, message);
        for (const listener of listeners) listener(from, message);
      });
    };
    this.#listeners.set(id, receive);
    return {
      send: (to, message) => {
        // The sender's bytes are good during this call only.
        const copy = message.slice();
        this.witness?.sent(id, to, copy);
        this.carry(id, to, () => this.#listeners.get(to)?.(id, copy));
        return true;
      },
      onMessage: (listener) => {
        listeners.add(listener);
        return () => listeners.delete(listener);
      },
      onPeer: () => () => undefined,
      isUp: (peer) => this.#listeners.has(peer),
      setPeers: () => undefined,
      close: async () => {
        listeners.clear();
        if (this.#listeners.get(id) === receive) this.#listeners.delete(id);
      },
    };
  }
}
