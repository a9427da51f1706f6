/** A node in its network namespace: `node namespaced-node.ts ID FOLDER`. It waits for "go", because the namespace has its address only then. */
import { once } from "node:events";
import { join } from "node:path";
import { openClusterNode } from "../../../host/cli/cluster-run.ts";
import { systemClock } from "../../../host/io/clock.ts";
import { createLogger } from "../../../host/observe/logger.ts";
import { namespacedNetwork } from "./namespaced-network.ts";

const [id, folder] = [Number(process.argv[2]), process.argv[3] as string];
const nodes = new Map(
  [1, 2, 3].map((node) => [node, { peer: `127.0.0.${node}:7000`, client: `127.0.0.${node}:7001` }]),
);
await once(process.stdin, "data");
const { failed } = await openClusterNode({
  ...{ id, nodes, data: join(folder, String(id)), cluster: "namespaces", join: false, entries: 4096 },
  ...{ electionMs: 500, heartbeatMs: 100, network: namespacedNetwork() },
  logger: createLogger({ level: "error", clock: systemClock() }),
});
process.stdout.write("ready\n");
process.stderr.write(`node ${id} ends: ${(await failed).message}\n`);
process.exit(1);
