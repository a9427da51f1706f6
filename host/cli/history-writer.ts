/** The store's history in the shape that the gateway asks for: the newest points of a range, oldest first. */
import type { HistoryWriter } from "../gateway/ports.ts";
import type { HistoryPoint } from "../gateway/service.ts";
import { History, type HistoryOptions, type RollupPoint } from "../store/history.ts";

const PAGE_POINTS = 10_000;

export function historyWriter(options: HistoryOptions): HistoryWriter {
  const history = new History(options);
  return {
    append: (transaction, point) => {
      history.append(transaction, point);
    },
    query: (reader, query) => {
      let newest: RollupPoint[] = [];
      let fromMs: number | undefined = query.fromMs;
      while (fromMs !== undefined && fromMs < query.toMs) {
        const page = history.query(reader, { ...query, fromMs, limit: PAGE_POINTS });
        newest = [...newest, ...page.points].slice(-query.limit);
        fromMs = page.nextMs;
      }
      return newest.map((point) => pointOf(point, query.resolution));
    },
    expire: (transaction, nowMs) => history.expire(transaction, nowMs),
  };
}

function pointOf(point: RollupPoint, resolution: string): HistoryPoint {
  const { timeMs, last, count, min, max, sum } = point;
  if (resolution === "raw") return { timeMs, value: last };
  return { timeMs, value: sum / count, count, min, max };
}
