/** A kind of world, as data that a thread can be given, and what runs one from a seed. */
import { openCore } from "../core/core.ts";
import { readCoreBytes } from "../core/core-bytes.ts";
import { runSiteWorld, type SiteWorldOptions, type SiteWorldReport } from "../world/site/site-world.ts";
import { type ClusterWorldReport, runWorld, type WorldOptions } from "../world/world.ts";

export interface ClusterJob {
  readonly kind: "cluster";
  readonly options: Omit<WorldOptions, "seed" | "users" | "onEvent">;
}
export interface SiteJob {
  readonly kind: "site";
  readonly options: Omit<SiteWorldOptions, "seed" | "onEvent">;
}
export type WorldJob = ClusterJob | SiteJob;

export type OnEvent = (atMs: number, what: string) => void;
export type RunSeed<Report> = (seed: number, onEvent: OnEvent) => Promise<Report>;
export type ReportOf<Job extends WorldJob> = Job extends ClusterJob ? ClusterWorldReport : SiteWorldReport;

export function worldOf<Job extends WorldJob>(job: Job): RunSeed<ReportOf<Job>>;
export function worldOf(job: WorldJob): RunSeed<ClusterWorldReport | SiteWorldReport> {
  if (job.kind === "site") return (seed, onEvent) => runSiteWorld({ ...job.options, seed, onEvent });
  const core = openCore(readCoreBytes());
  return (seed, onEvent) => runWorld(core, { ...job.options, seed, onEvent });
}
