/** The clock of one machine in a world: it runs a little fast or slow, its wall time jumps, and it stands still while its process is paused. */
import type { Clock, Dispose } from "../io/seams.ts";

export class SkewedClock implements Clock {
  readonly #world: Clock;
  /** Own milliseconds for one of the world. */
  #rate: number;
  /** Own time, and the world's, when the rate was set. */
  #ownMs = 0;
  #sinceMs: number;
  #wallOffsetMs = 0;
  /** What rang and came while the process was paused. */
  #held: (() => void)[] | undefined;
  #dead = false;

  constructor(world: Clock, rate = 1) {
    this.#world = world;
    this.#rate = rate;
    this.#sinceMs = world.monotonicMs();
  }

  monotonicMs(): number {
    return this.#ownMs + (this.#world.monotonicMs() - this.#sinceMs) * this.#rate;
  }
  /** From now on; what is set already rings when it would have. */
  setRate(rate: number): void {
    this.#ownMs = this.monotonicMs();
    this.#sinceMs = this.#world.monotonicMs();
    this.#rate = rate;
  }
  wallMs(): number {
    return Math.floor(this.#world.wallMs() + this.#wallOffsetMs);
  }
  jumpWall(ms: number): void {
    this.#wallOffsetMs += ms;
  }

  alarm(delayMs: number, call: () => void): Dispose {
    let wanted = true;
    const ring = (): void => {
      this.run(() => {
        if (wanted) call();
      });
    };
    const dispose = this.#world.alarm(delayMs / this.#rate, ring);
    return () => {
      wanted = false;
      dispose();
    };
  }

  /** Calls now, when the process goes on after a pause, or never when it is dead. */
  run(call: () => void): void {
    if (this.#dead) return;
    if (this.#held !== undefined) this.#held.push(call);
    else call();
  }

  get isPaused(): boolean {
    return this.#held !== undefined;
  }
  /** The process is not scheduled: its alarms wait, and what arrives for it must. */
  pause(): void {
    this.#held ??= [];
  }
  resume(): void {
    const held = this.#held ?? [];
    this.#held = undefined;
    for (const call of held) this.run(call);
  }
  /** What was set rings no more. */
  end(): void {
    this.#dead = true;
    this.#held = undefined;
  }
}
