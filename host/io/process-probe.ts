/** What the machine says about this process, for the process metrics of host/observe. */
import { monitorEventLoopDelay, performance } from "node:perf_hooks";

/** Finer resolutions wake the process more often: 20 times a second costs 0.1 % of a core. */
const DELAY_RESOLUTION_MS = 50;

export interface SystemProbe {
  sample(): {
    readonly residentBytes: number;
    readonly heapUsedBytes: number;
    readonly cpuSeconds: number;
    readonly eventLoopUtilization: number;
    readonly eventLoopDelayP99Seconds: number;
  };
  close(): void;
}

export function systemProbe(): SystemProbe {
  const delay = monitorEventLoopDelay({ resolution: DELAY_RESOLUTION_MS });
  delay.enable();
  let before = performance.eventLoopUtilization();
  return {
    sample: () => {
      const memory = process.memoryUsage();
      const cpu = process.cpuUsage();
      const now = performance.eventLoopUtilization();
      const { utilization } = performance.eventLoopUtilization(now, before);
      before = now;
      // The histogram holds whole intervals between ticks, and nothing before the first.
      const p99Ms = delay.count === 0 ? DELAY_RESOLUTION_MS : delay.percentile(99) / 1e6;
      delay.reset();
      return {
        residentBytes: memory.rss,
        heapUsedBytes: memory.heapUsed,
        cpuSeconds: (cpu.user + cpu.system) / 1e6,
        eventLoopUtilization: Number.isFinite(utilization) ? utilization : 0,
        eventLoopDelayP99Seconds: Math.max(p99Ms - DELAY_RESOLUTION_MS, 0) / 1000,
      };
    },
    close: () => delay.disable(),
  };
}
