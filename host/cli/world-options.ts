/** What `tardi world` takes. */
import { join } from "node:path";
import { type Command, Option } from "commander";
import { packageRoot } from "../../boards/toolchain/compile.ts";
import { duration, integer } from "./arguments.ts";

export function addWorld(program: Command): void {
  program
    .command("world")
    .description("simulated worlds: a cluster and its clients, or gateways and their boards, in virtual time")
    .command("run")
    .description("run a world from a seed; exit code 1 when what it promises is violated")
    .option("--seed <n>", "the same seed is the same world", integer(0, 0xffff_ffff), 1)
    .option("--seeds <n>", "so many worlds, from that seed on", integer(1, 1_000_000), 1)
    .option("--jobs <n>", "worlds at a time; as many as there are processors without", integer(1, 256))
    .option("--for <time>", "virtual time with faults: 30s, 10m, 1h", duration, 60)
    .option(
      "--nodes <n>",
      "nodes of the cluster; by default three or five, as the seed has it",
      integer(1, 9),
    )
    .option("--clients <n>", "clients of the cluster", integer(0, 100), 10)
    .addOption(
      new Option("--gateways <n>", "a site instead: gateways, each alone with its boards")
        .argParser(integer(1, 20))
        .conflicts(["nodes", "clients"]),
    )
    .option("--boards <n>", "boards of the site, dealt out among its gateways", integer(1, 1_000), 20)
    .addOption(
      new Option("--app <file>", "what those boards run").default(
        join(packageRoot(), "firmware/apps/greenhouse/app.ts"),
        "the greenhouse",
      ),
    )
    .option("--faults <kinds>", "all, none, or kinds separated by commas", "all")
    .option("--trace", "print every fault and election")
    .option("--json", "JSON on standard output")
    .action(async (options) => {
      const faults = ["all", "none"].includes(options.faults) ? options.faults : options.faults.split(",");
      if (options.gateways !== undefined) {
        const { siteWorldCommand } = await import("./site-world-command.ts");
        process.exitCode = await siteWorldCommand({ ...options, faults });
        return;
      }
      const { worldCommand } = await import("./world-command.ts");
      process.exitCode = await worldCommand({ ...options, faults });
    });
}
