#!/usr/bin/env node
/** The command line: what each command takes, and the one place where errors become words and exit codes. */
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import { Command, InvalidArgumentError, Option } from "commander";
import { packageRoot } from "../../boards/toolchain/compile.ts";
import { TardigradeError } from "../../protocols/error.ts";
import { integer } from "./arguments.ts";
import { addCluster } from "./cluster-options.ts";
import { printError } from "./output.ts";
import { becomeSmall } from "./small-process.ts";
import { addWorld } from "./world-options.ts";

const MQTT_PORT = 1883;
const HTTP_PORT = 8080;

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
