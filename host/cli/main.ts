#!/usr/bin/env node
/** The command line: what each command takes, and the one place where errors become words and exit codes. */
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import { Command, InvalidArgumentError, Option } from "commander";
import { packageRoot } from "../../boards/toolchain/compile.ts";
import { TardigradeError } from "../../protocols/error.ts";
import { printError } from "./output.ts";
import { becomeSmall } from "./small-process.ts";

const MQTT_PORT = 1883;
const HTTP_PORT = 8080;

function integer(low: number, high: number): (text: string) => number {
  return (text) => {
    const value = Number(text);
    if (!Number.isInteger(value) || value < low || value > high)
      throw new InvalidArgumentError(`must be ${low} to ${high}.`);
    return value;
  };
}

function ports(text: string, list: readonly number[] = []): readonly number[] {
  return [...list, integer(1, 65535)(text)];
}

function seconds(text: string): number {
  const value = Number(text);
  if (!(value > 0 && value <= 31_536_000)) throw new InvalidArgumentError("must be seconds, above 0.");
  return value;
}

/** `temp_max:-40:85`: column, value at zero, value at full scale. */
function column(text: string, list: readonly ColumnOption[] = []): readonly ColumnOption[] {
  const [name, low, high] = text.split(":");
  const scale = { column: name ?? "", low: Number(low), high: Number(high) };
  if (scale.column === "" || !(scale.low < scale.high))
    throw new InvalidArgumentError("must be NAME:LOW:HIGH, such as temp_max:-40:85.");
  return [...list, scale];
}

interface ColumnOption {
  readonly column: string;
  readonly low: number;
  readonly high: number;
}

/** Greenhouse's scales: 0 is temperature, 1 is moisture (rain stands for it, above a dry ground of 25 %). */
const WEATHER_COLUMNS: readonly ColumnOption[] = [
  { column: "temp_max", low: -40, high: 85 },
  { column: "precipitation", low: -20, high: 60 },
];

function weatherCsv(): string {
  try {
    return createRequire(import.meta.url).resolve("@observablehq/sample-datasets/weather.csv");
  } catch (cause) {
    throw new TardigradeError(
      "DEPENDENCY_MISSING",
      "The sample series are not installed with the package. Give your own: --csv FILE --column NAME:LOW:HIGH, or npm install @observablehq/sample-datasets.",
      { cause },
    );
  }
}

function version(): string {
  return JSON.parse(readFileSync(join(packageRoot(), "package.json"), "utf8")).version;
}

function fleet(command: Command): Command {
  return command
    .option("--url <url>", "MQTT broker", `mqtt://127.0.0.1:${MQTT_PORT}`)
    .option("--site <name>", "site", "home")
    .option("--username <name>", "for the broker; the password comes from TARDIGRADE_MQTT_PASSWORD")
    .option("--json", "JSON on standard output");
}

function withPassword<T extends { readonly username?: string }>(
  options: T,
): T & { readonly password?: string } {
  const password = process.env.TARDIGRADE_MQTT_PASSWORD;
  return password === undefined ? options : { ...options, password };
}

function addStart(program: Command): void {
  program
    .command("start")
    .description("run a gateway and virtual boards that replay real series; count everything at the end")
    .option("--for <seconds>", "end after so long; without it Ctrl-C ends", seconds)
    .option("--report <file>", "write the report as JSON")
    .option("--port <n>", "MQTT port", integer(1, 65535), MQTT_PORT)
    .option("--http-port <n>", "HTTP port", integer(1, 65535), HTTP_PORT)
    .option("--virtual <n>", "virtual boards", integer(1, 5000), 10)
    .option("--pico <n>", "emulated Picos, where the ARM toolchain is installed", integer(0, 16), 1)
    .option("--no-uno", "without the emulated Arduino Uno")
    .option("--kill-gateway <seconds>", "kill -9 the gateway on that beat and start it again", seconds)
    .option("--app <file>", "firmware", "firmware/apps/greenhouse/app.ts")
    .option("--csv <file>", "series to replay, with a header line")
    .option(
      "--column <name:low:high>",
      "column for the next ADC channel and its scale; repeat for more",
      column,
    )
    .option("--site <name>", "site", "home")
    .option("--data <folder>", "keep the data here instead of in a temporary folder")
    .option("--json", "the report as JSON on standard output")
    .action(async (options) => {
      const { startCommand } = await import("./start.ts");
      const csv = options.csv ?? weatherCsv();
      const app = options.app.startsWith("firmware/") ? join(packageRoot(), options.app) : options.app;
      process.exitCode = await startCommand({
        ...options,
        csv,
        app,
        columns: options.column ?? WEATHER_COLUMNS,
      });
    });
}

function addBuild(program: Command): void {
  program
    .command("build <app>")
    .description("compile an app.ts for a board")
    .addOption(new Option("--board <name>", "board").default("virtual"))
    .option("--out <folder>", "write the image")
    .option("--stats", "what takes flash and RAM, function by function")
    .option("--json", "sizes and capabilities as JSON")
    .option("--raft", "for a board that agrees with two others, and has no gateway")
    .action(async (app, options) => (await import("./build-command.ts")).buildCommand(app, options));
  program
    .command("flash <app>")
    .description("compile an app.ts for a board and copy it there")
    .requiredOption("--board <name>", "board, such as pico")
    .option("--drive <path>", "drive of its boot loader; found by itself without")
    .option("--json", "JSON on standard output")
    .action(async (app, options) => (await import("./flash-command.ts")).flashCommand(app, options));
  program
    .command("boards")
    .description("virtual boards")
    .command("run")
    .description("run virtual boards against a broker; JSON lines on standard output")
    .requiredOption("--image <folder>", "what `tardi build --out` wrote")
    .option("--url <url>", "MQTT broker", `mqtt://127.0.0.1:${MQTT_PORT}`)
    .option("--site <name>", "site", "home")
    .option("--count <n>", "boards", integer(1, 5000), 1)
    .option("--prefix <name>", "device ids are PREFIX-01, PREFIX-02, …", "board")
    .option("--csv <file>", "series to replay")
    .option("--column <name:low:high>", "column for the next ADC channel and its scale", column)
    .option("--row-ms <n>", "milliseconds a row", integer(1, 86_400_000), 1000)
    .option(
      "--pico-image <file>",
      "flash image of emulated Picos, `tardi build --board pico --out` writes it",
    )
    .option("--pico-port <n>", "an emulated Pico, with its UART on that TCP port; repeat for more", ports)
    .option("--uno-hex <file>", "sketch of an emulated Arduino Uno, Intel HEX")
    .option("--uno-port <n>", "its serial port as a TCP port", integer(1, 65535))
    .option("--username <name>", "for the broker; the password comes from TARDIGRADE_MQTT_PASSWORD")
    .action(async (options) => {
      const { runBoards } = await import("./boards-run.ts");
      await runBoards(withPassword({ ...options, columns: options.column ?? [] }));
    });
}

function addPorts(program: Command): void {
  program
    .command("ports")
    .description("serial ports of this machine, and what is plugged in")
    .option("--json", "JSON on standard output")
    .action(async (options) => (await import("./ports-command.ts")).portsCommand(options));
}

function addGateway(program: Command): void {
  const config = (command: Command) =>
    command.option("--config <file>", "tardigrade.yaml (the one here when there is one)");
  config(program.command("gateway").description("the gateway").command("run"))
    .description("run a gateway until it is told to stop")
    .option("--announce", 'say {"type":"ready"} on standard output when it serves')
    .action(async (options) => {
      becomeSmall();
      process.exitCode = await (await import("./gateway-run.ts")).gatewayCommand(options);
    });
  config(program.command("doctor"))
    .description("check this machine and the configuration")
    .option("--json", "JSON on standard output")
    .action(async (options) => {
      const { configOf } = await import("./gateway-run.ts");
      const { doctorCommand } = await import("./doctor.ts");
      const { config: loaded, source } = configOf(options.config);
      process.exitCode = await doctorCommand(loaded, source, options.json === true);
    });
  config(program.command("backup <file>"))
    .description("write a stopped gateway's data into one file")
    .option("--data <folder>", "data folder, instead of the configuration's")
    .option("--json", "JSON on standard output")
    .action(async (file, options) => {
      const { configOf } = await import("./gateway-run.ts");
      const data = options.data ?? configOf(options.config).config.data;
      await (await import("./backup.ts")).backupCommand(data, file, options.json === true);
    });
  config(program.command("restore <file>"))
    .description("unpack a backup into an empty data folder")
    .option("--data <folder>", "data folder, instead of the configuration's")
    .option("--json", "JSON on standard output")
    .action(async (file, options) => {
      const { configOf } = await import("./gateway-run.ts");
      const data = options.data ?? configOf(options.config).config.data;
      await (await import("./backup.ts")).restoreCommand(file, data, options.json === true);
    });
}

function addFleet(program: Command): void {
  const commands = () => import("./fleet-commands.ts");
  fleet(program.command("devices").description("devices of a gateway")).action(async (options) =>
    (await commands()).devicesCommand(withPassword(options)),
  );
  fleet(program.command("monitor").description("live table of the fleet, over any MQTT broker"))
    .option("--for <seconds>", "end after so long", seconds)
    .action(async (options) => (await commands()).monitorCommand(withPassword(options)));
  fleet(
    program
      .command("command <device> <name> [args...]")
      .description("ask a device to do something: command greenhouse-01 water seconds=5"),
  )
    .option("--timeout <seconds>", "wait so long for the answer", seconds)
    .action(async (device, name, args, options) =>
      (await commands()).commandCommand(device, name, args, withPassword(options)),
    );
  const shadow = program.command("shadow").description("a device's shadow: desired and reported");
  fleet(shadow.command("get <device>").description("show it")).action(async (device, options) =>
    (await commands()).shadowGetCommand(device, withPassword(options)),
  );
  fleet(
    shadow
      .command("set <device> <values...>")
      .description("change what is desired: shadow set greenhouse-01 fanOnC=27 (null removes)"),
  ).action(async (device, values, options) =>
    (await commands()).shadowSetCommand(device, values, withPassword(options)),
  );
}

function addAccess(program: Command): void {
  const commands = () => import("./access-commands.ts");
  const folder = (command: Command) =>
    command
      .option("--config <file>", "tardigrade.yaml (the one here when there is one)")
      .option("--data <folder>", "data folder, instead of the configuration's")
      .option("--json", "JSON on standard output");
  const located = async <T extends { readonly data?: string; readonly config?: string }>(options: T) => {
    const { configOf } = await import("./gateway-run.ts");
    const { config } = configOf(options.config);
    return { ...options, data: options.data ?? config.data, site: config.site };
  };
  const all = (value: string, before: readonly string[] = []): readonly string[] => [...before, value];
  const user = program.command("user").description("people who may use a gateway");
  folder(user.command("add <name>").description("add one; without --password-stdin a password is made"))
    .requiredOption("--role <role>", "viewer reads, operator also commands, admin also sees the audit")
    .option("--password-stdin", "take the password from the first line of standard input")
    .action(async (name, options) => (await commands()).userAdd(name, await located(options)));
  const token = program.command("token").description("tokens of programs: scripts, Prometheus, CI");
  folder(token.command("add <name>").description("make one; it is shown once"))
    .requiredOption("--role <role>", "viewer, operator or admin")
    .option("--days <days>", "valid for so long; for ever without", integer(1, 36_500))
    .action(async (name, options) => (await commands()).tokenAdd(name, await located(options)));
  const device = program.command("device").description("credentials of devices");
  folder(device.command("add <id>").description("make a password for a device; it is shown once"))
    .option(
      "--topic <filter>",
      "of a device that speaks no Tardigrade, such as tele/plug/#; once or more",
      all,
    )
    .action(async (id, options) => (await commands()).deviceAdd(id, await located(options)));
  folder(device.command("acl <file>").description("write mosquitto's acl_file"))
    .option("--passwords <file>", "and its password_file")
    .option("--gateway <name>", "user name of the gateway at mosquitto", "tardigrade")
    .action(async (acl, options) => (await commands()).mosquittoFiles({ ...(await located(options)), acl }));
  for (const [what, command] of Object.entries({ user, token, device }) as ["user", Command][]) {
    folder(command.command("list").description(`every ${what}`)).action(async (options) =>
      (await commands()).list(what, await located(options)),
    );
    folder(command.command(`revoke <${what === ("token" as string) ? "id" : "name"}>`))
      .description(`take a ${what}'s access away, at once`)
      .action(async (name, options) => (await commands()).revoke(what, name, await located(options)));
  }
}

function addPlugin(program: Command): void {
  const plugin = program.command("plugin").description("decoders of plain MQTT devices, as WebAssembly");
  plugin
    .command("build <source>")
    .description("AssemblyScript (.ts) or JavaScript (.js) to a component")
    .option("--out <file>", "where to write it; beside the source without")
    .option("--json", "JSON on standard output")
    .action(async (source, options) =>
      (await import("./plugin-commands.ts")).pluginBuildCommand(source, options),
    );
  plugin
    .command("run <file>")
    .description("show what a component makes of a message, within a gateway's bounds")
    .requiredOption("--topic <topic>", "topic of the message")
    .option("--payload <text>", "its payload as text")
    .option("--hex <digits>", "its payload as hexadecimal digits")
    .option("--set <state=value>", "show what is published to set a state of the device")
    .option("--device <name>", "that device; the one in the message without")
    .option("--family <name>", "first part of the id", "plugin")
    .option("--time <ms>", "longest time of a call", integer(1, 10_000), 50)
    .option("--memory <mb>", "memory it may have", integer(1, 256), 16)
    .option("--json", "JSON on standard output")
    .action(async (file, options) => (await import("./plugin-commands.ts")).pluginRunCommand(file, options));
}

/** `1=127.0.0.1:7101/127.0.0.1:7201`: id, address for nodes, address for clients. */
function clusterNode(text: string, before: ClusterNodes = new Map()): ClusterNodes {
  const found = /^([1-9][0-9]{0,9})=([^/]+:[0-9]+)\/([^/]+:[0-9]+)$/.exec(text);
  if (found === null)
    throw new InvalidArgumentError("must be ID=NODES/CLIENTS, such as 1=127.0.0.1:7101/127.0.0.1:7201.");
  const [, id, peer, client] = found as unknown as [string, string, string, string];
  return new Map([...before, [Number(id), { peer, client }]]);
}
type ClusterNodes = ReadonlyMap<number, { readonly peer: string; readonly client: string }>;

/** Three on this machine. */
const CLUSTER_NODES: ClusterNodes = new Map(
  [1, 2, 3].map((id) => [id, { peer: `127.0.0.1:${7100 + id}`, client: `127.0.0.1:${7200 + id}` }]),
);

function addCluster(program: Command): void {
  const commands = () => import("./cluster-commands.ts");
  const cluster = program.command("cluster").description("a replicated key-value store on several nodes");
  const reach = (command: Command) =>
    command
      .option(
        "--endpoint <address>",
        "where a node serves clients; repeat for more",
        (text: string, before?: string[]) => [...(before ?? []), text],
      )
      .option("--json", "JSON on standard output");
  const reached = <T extends { readonly endpoint?: readonly string[] }>(options: T) => ({
    ...options,
    endpoint: options.endpoint ?? [...CLUSTER_NODES.values()].map(({ client }) => client),
  });
  const id = integer(1, 0xffff_ffff);
  cluster
    .command("run")
    .description("run one node until it is told to stop")
    .requiredOption("--id <n>", "this node", id)
    .option(
      "--node <id=nodes/clients>",
      "a node and its addresses; repeat for all, this one too",
      clusterNode,
    )
    .option("--data <folder>", "data folder; ./tardigrade-cluster/ID without")
    .option("--cluster <name>", "name that all its nodes share", "home")
    .option("--join", "wait to be added to a cluster that runs (tardi cluster add)")
    .option(
      "--election-ms <n>",
      "time without a leader after which a node stands for election",
      integer(10, 60_000),
      1000,
    )
    .option("--heartbeat-ms <n>", "at most a third of it", integer(1, 20_000), 100)
    .option("--entries <n>", "log entries held in memory, a power of two", integer(16, 4_194_304), 65_536)
    .option("--log-level <level>", "debug, info, warn, error, silent", "info")
    .option("--announce", 'say {"type":"ready"} on standard output when it serves')
    .action(async (options) => {
      const { clusterRunCommand } = await import("./cluster-run.ts");
      process.exitCode = await clusterRunCommand({
        ...options,
        nodes: options.node ?? CLUSTER_NODES,
        data: options.data ?? join("tardigrade-cluster", String(options.id)),
        join: options.join === true,
      });
    });
  reach(cluster.command("status").description("who leads, and how far each node is")).action(
    async (options) => {
      process.exitCode = await (await commands()).statusCommand(reached(options));
    },
  );
  reach(cluster.command("add <id>").description("add a node that was started with --join"))
    .requiredOption("--peer <address>", "its address for nodes")
    .requiredOption("--client <address>", "its address for clients")
    .addOption(new Option("--role <role>").choices(["voter", "learner"]).default("voter"))
    .action(async (node, options) => (await commands()).addCommand(id(node), reached(options)));
  reach(cluster.command("remove <id>").description("remove a node")).action(async (node, options) =>
    (await commands()).removeCommand(id(node), reached(options)),
  );
  reach(cluster.command("transfer <id>").description("hand leadership to a node")).action(
    async (node, options) => (await commands()).transferCommand(id(node), reached(options)),
  );
  reach(cluster.command("snapshot <file>").description("write the store's state into a new file")).action(
    async (file, options) => (await commands()).snapshotCommand(file, reached(options)),
  );
  reach(cluster.command("get <key>").description("read a key; exit code 1 when there is none")).action(
    async (key, options) => {
      process.exitCode = await (await commands()).getCommand(key, reached(options));
    },
  );
  reach(cluster.command("put <key> <value>").description("write a key")).action(async (key, value, options) =>
    (await commands()).putCommand(key, value, reached(options)),
  );
}

/** `90`, `90s`, `10m`, `1h`: seconds. */
function duration(text: string): number {
  const found = /^([0-9]+(?:\.[0-9]+)?)(ms|s|m|h)?$/.exec(text);
  const unit = { ms: 0.001, s: 1, m: 60, h: 3600 }[found?.[2] ?? "s"] ?? 1;
  const value = Number(found?.[1]) * unit;
  if (!(value > 0 && value <= 2_592_000))
    throw new InvalidArgumentError("must be a time such as 30s, 10m or 1h.");
  return value;
}

function addWorld(program: Command): void {
  program
    .command("world")
    .description("simulated worlds: a cluster and its clients, or gateways and their boards, in virtual time")
    .command("run")
    .description("run a world from a seed; exit code 1 when what it promises is violated")
    .option("--seed <n>", "the same seed is the same world", integer(0, 0xffff_ffff), 1)
    .option("--seeds <n>", "so many worlds, from that seed on", integer(1, 1_000_000), 1)
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

function buildProgram(): Command {
  const program = new Command("tardi")
    .description("Tardigrade: firmware in TypeScript, a gateway that loses nothing, boards simulated.")
    .version(version())
    .showHelpAfterError("(see --help)")
    .showSuggestionAfterError();
  addStart(program);
  addBuild(program);
  addPorts(program);
  addGateway(program);
  addFleet(program);
  addAccess(program);
  addPlugin(program);
  addCluster(program);
  addWorld(program);
  return program;
}

try {
  await buildProgram().parseAsync();
} catch (error) {
  printError(error, process.argv.includes("--json"));
  process.exitCode = 1;
}
