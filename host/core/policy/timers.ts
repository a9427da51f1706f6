/**
 * One timer wheel for all policies that wait on a clock: a timeout that is started and stopped costs two calls into the core instead of a timer of
 * the platform, of which one at a time is armed, for what is due next.
 *
 * The alarm keeps the process alive while timers run. It is left armed when the last one stops, since the next call of the same turn would arm it
 * again, and taken away when the turn is over and still none runs.
 */
import { type Core, checkHandle } from "../core.ts";
import { giveRegion, type Region, takeRegion } from "../regions.ts";
import type { PolicyClock } from "./policy.ts";

const CAPACITY = 64;
/** Of the wheel. */
const TICK_MS = 1.024;
const LINK_MASK = 0xf_ffff;

export class PolicyTimers {
  readonly #core: Core;
  readonly #clock: PolicyClock;
  readonly #wheel: number;
  #memory: Region;
  #capacity = CAPACITY;
  /** By tag. */
  readonly #calls: ((() => void) | undefined)[] = [];
  readonly #freeTags: number[] = [];
  /** By place in the wheel. */
  readonly #tags: number[] = [];
  #running = 0;
  #alarm: (() => void) | undefined;
  #alarmMs = Number.POSITIVE_INFINITY;
  #isIdleChecked = false;

  constructor(core: Core, clock: PolicyClock) {
    this.#core = core;
    this.#clock = clock;
    this.#memory = takeRegion(core, core.raw.wheelBytes(CAPACITY));
    this.#wheel = checkHandle(
      core.raw.wheelCreate(CAPACITY, this.#memory.at, clock.monotonicMs()),
      "The timer wheel could not be created.",
    );
  }

  get running(): number {
    return this.#running;
  }

  /** Calls once, `delayMs` from now: not early by this clock, and some 2 ms late at most. A timer above 0 for stop(). */
  start(delayMs: number, call: () => void): number {
    const nowMs = this.#clock.monotonicMs();
    const tag = this.#freeTags.pop() ?? this.#calls.length;
    this.#calls[tag] = call;
    if (this.#running === this.#capacity) this.#grow();
    const timer = this.#core.raw.wheelAdd(this.#wheel, delayMs, tag, nowMs);
    this.#tags[timer & LINK_MASK] = tag;
    this.#running += 1;
    const dueMs = Math.ceil((nowMs + delayMs) / TICK_MS) * TICK_MS;
    if (dueMs < this.#alarmMs) this.#arm(dueMs, nowMs);
    return timer;
  }

  /** False when it is not running any more. */
  stop(timer: number): boolean {
    if (this.#core.raw.wheelCancel(this.#wheel, timer) !== 0) return false;
    this.#release(this.#tags[timer & LINK_MASK] ?? 0);
    if (this.#running === 0 && !this.#isIdleChecked) this.#checkIdle();
    return true;
  }

  #release(tag: number): void {
    this.#calls[tag] = undefined;
    this.#freeTags.push(tag);
    this.#running -= 1;
  }

  #grow(): void {
    const { raw } = this.#core;
    const larger = takeRegion(this.#core, raw.wheelBytes(this.#capacity * 2));
    checkHandle(
      raw.wheelGrow(this.#wheel, this.#capacity * 2, larger.at) + 1,
      "So many timers cannot run at once.",
    );
    giveRegion(this.#core, this.#memory);
    this.#memory = larger;
    this.#capacity *= 2;
  }

  #arm(atMs: number, nowMs: number): void {
    this.#alarm?.();
    this.#alarmMs = atMs;
    this.#alarm = this.#clock.alarm(Math.max(0, atMs - nowMs), () => this.#tick());
  }

  #disarm(): void {
    this.#alarm?.();
    this.#alarm = undefined;
    this.#alarmMs = Number.POSITIVE_INFINITY;
  }

  #tick(): void {
    this.#alarm = undefined;
    this.#alarmMs = Number.POSITIVE_INFINITY;
    const { raw } = this.#core;
    const nowMs = this.#clock.monotonicMs();
    for (let tag = raw.wheelPop(this.#wheel, nowMs); tag >= 0; tag = raw.wheelPop(this.#wheel, nowMs)) {
      const call = this.#calls[tag];
      this.#release(tag);
      call?.();
    }
    const nextMs = raw.wheelNextMs(this.#wheel);
    if (nextMs !== Number.POSITIVE_INFINITY && nextMs < this.#alarmMs) this.#arm(nextMs, nowMs);
  }

  #checkIdle(): void {
    this.#isIdleChecked = true;
    this.#clock.alarm(
      0,
      () => {
        this.#isIdleChecked = false;
        if (this.#running === 0) this.#disarm();
      },
      { background: true },
    );
  }
}

const timersOfCore = new WeakMap<Core, WeakMap<PolicyClock, PolicyTimers>>();

/** The one of this core and clock. */
export function timersOf(core: Core, clock: PolicyClock): PolicyTimers {
  const byClock = timersOfCore.get(core) ?? new WeakMap<PolicyClock, PolicyTimers>();
  timersOfCore.set(core, byClock);
  const timers = byClock.get(clock) ?? new PolicyTimers(core, clock);
  byClock.set(clock, timers);
  return timers;
}

/** Waits, unless the call is given up: then it rejects with the reason. */
export function pause(
  timers: PolicyTimers,
  delayMs: number,
  call: {
    readonly isAborted: boolean;
    readonly reason: unknown;
    onAbort(listener: (reason: unknown) => void): () => void;
  },
): Promise<void> {
  return new Promise((resolve, reject) => {
    if (call.isAborted) {
      reject(call.reason);
      return;
    }
    const timer = timers.start(delayMs, () => {
      forget();
      resolve();
    });
    const forget = call.onAbort((reason) => {
      timers.stop(timer);
      reject(reason);
    });
  });
}
