/** Real series as sensor input: a CSV's column becomes an ADC channel. */
import Papa from "papaparse";
import { TardigradeError } from "../../../protocols/error.ts";
import type { AnalogSource } from "./pins.ts";

export interface Channel {
  readonly column: string;
  /** Values that are zero and full scale of the ADC. */
  readonly low: number;
  readonly high: number;
}

/** Numbers of one column, in the file's order. Throws FILE_UNREADABLE naming the columns there are. */
export function readColumn(csv: string, column: string): Float64Array {
  const parsed = Papa.parse<Record<string, string>>(csv, { header: true, skipEmptyLines: true });
  const columns = parsed.meta.fields ?? [];
  if (!columns.includes(column)) {
    throw new TardigradeError(
      "FILE_UNREADABLE",
      `The CSV has no column "${column}"; it has ${columns.join(", ") || "none"}.`,
    );
  }
  const values = parsed.data.map((row) => (row[column]?.trim() ? Number(row[column]) : Number.NaN));
  const numbers = Float64Array.from(values.filter((value) => Number.isFinite(value)));
  if (numbers.length === 0) {
    throw new TardigradeError("FILE_UNREADABLE", `The CSV's column "${column}" holds no numbers.`);
  }
  return numbers;
}

/**
 * Replays columns on ADC channels 0, 1, …: one row each `rowMs`, straight lines in between (a sensor does not jump), from
 * the start again at the end. `firstRow` sets boards apart.
 */
export function replay(options: {
  readonly series: readonly Float64Array[];
  readonly channels: readonly Channel[];
  readonly rowMs: number;
  readonly firstRow?: number;
}): AnalogSource {
  return (channel, uptimeUs) => {
    const values = options.series[channel];
    const scale = options.channels[channel];
    if (values === undefined || scale === undefined) return Number.NaN;
    const row = uptimeUs / 1000 / options.rowMs + (options.firstRow ?? 0);
    const index = Math.floor(row) % values.length;
    const from = values[index] as number;
    const to = values[(index + 1) % values.length] as number;
    const value = from + (to - from) * (row % 1);
    return (value - scale.low) / (scale.high - scale.low);
  };
}
