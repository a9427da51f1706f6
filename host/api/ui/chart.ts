/** A line over time, by uPlot; loaded when a device is looked at. */
import uPlot from "uplot";

export interface Series {
  readonly timesMs: number[];
  readonly values: number[];
}

export interface Chart {
  set(series: Series): void;
  destroy(): void;
}

const HEIGHT_PX = 260;

export function openChart(box: HTMLElement, label: string): Chart {
  const color = (name: string): string => getComputedStyle(box).getPropertyValue(name).trim();
  const axis = () => ({
    stroke: color("--quiet"),
    grid: { stroke: color("--line"), width: 1 },
    ticks: { show: false },
  });
  const plot = new uPlot(
    {
      width: box.clientWidth,
      height: HEIGHT_PX,
      cursor: { y: false },
      legend: { live: true },
      scales: { x: { time: true } },
      axes: [axis(), { ...axis(), size: 64 }],
      series: [
        {},
        { label, stroke: color("--accent"), width: 1.5, points: { show: false }, spanGaps: false },
      ],
    },
    [[], []],
    box,
  );
  const observer = new ResizeObserver(() => plot.setSize({ width: box.clientWidth, height: HEIGHT_PX }));
  observer.observe(box);
  return {
    set: ({ timesMs, values }) => plot.setData([timesMs.map((ms) => ms / 1000), values]),
    destroy: () => {
      observer.disconnect();
      plot.destroy();
    },
  };
}
