/** What `tardi cluster` takes. */
import { join } from "node:path";
import { type Command, InvalidArgumentError, Option } from "commander";
import { integer } from "./arguments.ts";

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

export function addCluster(program: Command): void {
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
  reach(
    cluster.command("owners [device...]").description("the gateways that share devices, and whose each is"),
  )
    .option("--site <name>", "site of gateways with a cluster section in tardigrade.yaml", "home")
    .option("--prefix <text>", "of programs of your own: before their keys in the store")
    .action(async (devices, options) => {
      const { ownersCommand } = await import("./owners-command.ts");
      process.exitCode = await ownersCommand(devices, {
        ...reached(options),
        prefix: options.prefix ?? `sites/${options.site}`,
      });
    });
  reach(cluster.command("get <key>").description("read a key; exit code 1 when there is none")).action(
    async (key, options) => {
      process.exitCode = await (await commands()).getCommand(key, reached(options));
    },
  );
  reach(cluster.command("put <key> <value>").description("write a key")).action(async (key, value, options) =>
    (await commands()).putCommand(key, value, reached(options)),
  );
}
