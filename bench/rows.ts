/** What a suite reports: one row a claim, ours beside a peer that was measured in the same run. */
import { table } from "../host/cli/output.ts";

export interface Peer {
  readonly name: string;
  readonly version: string;
  readonly value: number;
}

export interface BenchRow {
  readonly claim: string;
  readonly unit: string;
  readonly ours: number;
  readonly peer: Peer;
  /** Above 1 = we win, whichever way the unit counts. */
  readonly ratio: number;
  /** Least ratio that we promise; null where the row is told for orientation. */
  readonly goal: number | null;
  /** Of the work that was done, the same for ours and the peer. */
  readonly checksum: string;
  readonly note: string;
}

export interface RowInput extends Omit<BenchRow, "ratio" | "goal"> {
  /** Whether more of the unit is better. */
  readonly better: "more" | "less";
  readonly goal?: number;
}

export function benchRow({ better, goal, ...input }: RowInput): BenchRow {
  const { ours, peer } = input;
  const ratio = better === "more" ? ours / peer.value : peer.value / ours;
  return {
    ...input,
    ours: significant(ours),
    peer: { ...peer, value: significant(peer.value) },
    ratio: significant(ratio),
    goal: goal ?? null,
  };
}

/** Three figures carry what such a measurement is worth. */
function significant(value: number): number {
  if (!Number.isFinite(value)) return 0;
  return Math.abs(value) >= 100 ? Math.round(value) : Number(value.toPrecision(3));
}

const HEAD = ["claim", "unit", "ours", "peer", "peer's", "ratio", "goal", "met", "checksum"] as const;

/** An aligned table, and below it the notes that are not empty. */
export function formatRows(rows: readonly BenchRow[]): string {
  const cells = rows.map(({ claim, unit, ours, peer, ratio, goal, checksum }) => {
    const met = goal === null ? "" : ratio >= goal ? "yes" : "no";
    const name = `${peer.name} ${peer.version}`.trim();
    return [claim, unit, ours, name, peer.value, ratio, goal ?? "", met, checksum];
  });
  const notes = rows.filter(({ note }) => note !== "").map(({ claim, note }) => `- ${claim}: ${note}`);
  return [table(HEAD, cells), ...(notes.length > 0 ? ["", ...notes] : [])].join("\n");
}
