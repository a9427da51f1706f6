/** The newest points of a range, from a history that answers oldest first and in pages. */
import type { History } from "../store/history.ts";
import type { StateReader } from "../store/state-store.ts";
import type { HistoryPoint } from "./service.ts";

export type Resolution = "raw" | "minute" | "hour";

const DAY_MS = 86_400_000;
/** As host/store/history.ts keeps them by default. */
export const RETENTION_MS: Readonly<Record<Resolution, number>> = {
  raw: 2 * DAY_MS,
  minute: 30 * DAY_MS,
  hour: 730 * DAY_MS,
};
/** Pages read for one question. */
const PAGES_MAX = 64;

export function newestPoints(
  history: History,
  reader: StateReader,
  query: {
    readonly device: string;
    readonly metric: string;
    readonly fromMs: number;
    readonly toMs: number;
    readonly resolution: Resolution;
    readonly limit: number;
  },
): HistoryPoint[] {
  const { device, metric, toMs, resolution, limit } = query;
  let points: HistoryPoint[] = [];
  let fromMs: number | undefined = query.fromMs;
  for (let page = 0; page < PAGES_MAX && fromMs !== undefined && fromMs < toMs; page += 1) {
    const answer = history.query(reader, { device, metric, fromMs, toMs, resolution });
    for (const { timeMs, count, min, max, sum } of answer.points) {
      points.push(
        resolution === "raw" ? { timeMs, value: sum } : { timeMs, value: sum / count, count, min, max },
      );
    }
    if (points.length > limit) points = points.slice(-limit);
    fromMs = answer.nextMs;
  }
  return points;
}
