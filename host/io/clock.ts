/** The machine's clock. */
import type { Clock, Dispose } from "./seams.ts";

/** Longest delay that a timer of the platform takes; longer ones are cut to it by repeated alarms. */
const TIMER_DELAY_MS_MAX = 2 ** 31 - 1;

export function systemClock(): Clock {
  return {
    monotonicMs: () => performance.now(),
    wallMs: () => Date.now(),
    alarm: (delayMs, call, options) => startAlarm(delayMs, call, options?.background === true),
  };
}

function startAlarm(delayMs: number, call: () => void, background: boolean): Dispose {
  let timer: NodeJS.Timeout | undefined;
  const start = (leftMs: number): void => {
    const stepMs = Math.min(Math.max(leftMs, 0), TIMER_DELAY_MS_MAX);
    timer = setTimeout(() => {
      timer = undefined;
      if (leftMs > stepMs) start(leftMs - stepMs);
      else call();
    }, stepMs);
    if (background) timer.unref();
  };
  start(delayMs);
  return () => {
    if (timer !== undefined) clearTimeout(timer);
    timer = undefined;
  };
}
