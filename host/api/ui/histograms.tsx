/** What a device measured itself, as quantiles. A device that reported none has no such part. */
import { useEffect, useState } from "preact/hooks";
import type { HistogramView } from "../../gateway/service.ts";
import { every } from "./clock.ts";
import { numberText, valueText } from "./format.ts";
import { ask } from "./store.ts";

const ASK_AGAIN_MS = 10_000;

export function Histograms({ id }: { readonly id: string }) {
  const [histograms, setHistograms] = useState<readonly HistogramView[]>([]);
  useEffect(() => {
    let gone = false;
    const load = (): void => {
      ask<{ histograms: readonly HistogramView[] }>(`/api/devices/${id}/histograms`)
        .then((answer) => {
          if (!gone) setHistograms(answer.histograms);
        })
        .catch(() => undefined);
    };
    load();
    const stop = every(ASK_AGAIN_MS, load);
    return () => {
      gone = true;
      stop();
    };
  }, [id]);
  if (histograms.length === 0) return null;
  return (
    <section aria-labelledby="histograms">
      <h2 id="histograms">Distributions</h2>
      <table class="plain">
        <thead>
          <tr>
            {["Metric", "Median", "90 %", "99 %", "Highest", "Values", "A second"].map((label) => (
              <th key={label} scope="col">
                {label}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {histograms.map(({ metric, unit, p50, p90, p99, max, count, perSecond }) => (
            <tr key={metric}>
              <th scope="row">{metric}</th>
              {[p50, p90, p99, max].map((value, at) => (
                <td key={at}>{valueText(value, unit)}</td>
              ))}
              <td>{count.toLocaleString("en-US")}</td>
              <td>{numberText(perSecond)}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </section>
  );
}
