/** `tardi world run --gateways N`: simulated sites, whose boards run the shipped firmware and an app. */
import { relative } from "node:path";
import { buildApp, buildSystem } from "../../boards/toolchain/build.ts";
import { TardigradeError } from "../../protocols/error.ts";
import { SITE_FAULTS, type SiteFault } from "../world/site/site-faults.ts";
import { progress } from "./output.ts";
import type { SiteJob } from "./world-job.ts";
import { type PlayOptions, playWorlds, SECOND_MS } from "./world-play.ts";

export interface SiteWorldCommandOptions extends PlayOptions {
  readonly gateways: number;
  /** Dealt out among the gateways. */
  readonly boards: number;
  /** Source of the app. */
  readonly app: string;
  readonly faults: "all" | "none" | readonly string[];
}

export async function siteWorldCommand(options: SiteWorldCommandOptions): Promise<number> {
  const { gateways, boards, app } = options;
  const faults = faultsOf(options.faults);
  const line = options.json || options.trace ? undefined : progress("Building the firmware and the app");
  const [built, base] = await Promise.all([buildApp({ path: app, board: "virtual" }), buildSystem()]);
  const system = await WebAssembly.compile(base.wasm);
  const image = {
    app: await WebAssembly.compile(built.wasm),
    ...{ name: built.manifest.name, version: built.manifest.version, capabilities: built.capabilities },
  };
  line?.done(`${image.name} ${image.version}`);
  const forMs = options.for * SECOND_MS;
  const job: SiteJob = { kind: "site", options: { forMs, gateways, boards, faults, system, image } };
  return playWorlds(options, {
    job,
    rows: (sum) => [
      ["faults", sum((report) => report.faults)],
      ["crashes of gateways", sum(({ crashes }) => crashes)],
      ["messages stored", sum(({ messages }) => messages)],
      ["readings in them", sum(({ readings }) => readings)],
    ],
    again: () => {
      const kinds = typeof options.faults === "string" ? options.faults : options.faults.join(",");
      return `--gateways ${gateways} --boards ${boards} --app ${relative(process.cwd(), app)} --faults ${kinds}`;
    },
  });
}

function faultsOf(given: SiteWorldCommandOptions["faults"]): readonly SiteFault[] {
  if (given === "all") return SITE_FAULTS;
  if (given === "none") return [];
  return given.map((kind) => {
    const known = SITE_FAULTS.find((fault) => fault === kind);
    if (known !== undefined) return known;
    throw new TardigradeError("ARGUMENT", `A site has no fault "${kind}": ${SITE_FAULTS.join(", ")}.`);
  });
}
