/** The module of a board among peers: firmware/raft and an app in one. */
import { existsSync } from "node:fs";
import { join, relative, resolve } from "node:path";
import { TardigradeError } from "../../protocols/error.ts";
import { compile } from "./compile.ts";
import { explain, formatExplained } from "./explain.ts";

export interface RaftModule {
  readonly wasm: Uint8Array<ArrayBuffer>;
  /** Names of its functions by index. */
  readonly names: readonly string[];
  /** Bytes of memory: Raft, driver, buffers and the machine. Nothing grows. */
  readonly memoryBytes: number;
  /** Where in memory the node is (assembly/consensus/raft/layout.ts), the machine (firmware/raft/machine.ts), and the condition (peer.ts). */
  readonly node: number;
  readonly machine: number;
  readonly condition: number;
}

/** `app` exports setup() and loop(now): firmware/raft/index.ts is what it uses. Throws FILE_UNREADABLE, BUILD_FAILED. */
export async function buildRaftModule(app: string): Promise<RaftModule> {
  const root = process.cwd();
  const entry = join(root, "tardigrade-entry.ts");
  const imported = relative(root, resolve(app)).replaceAll("\\", "/").replace(/\.ts$/, "");
  if (!existsSync(app)) throw new TardigradeError("FILE_UNREADABLE", `There is no file ${app}.`);
  const text = [
    // By the name under which the app imports it: by another one it would be another module, with a state of its own.
    'export { boot, condition, machine, memory_end, node, poll } from "tardigrade/firmware/raft/module";',
    `export { loop, setup } from "./${imported}";`,
  ].join("\n");
  const { wasm, names, diagnostics } = await compile({ entry, root, virtual: new Map([[entry, text]]) });
  const errors = diagnostics.filter(({ isError }) => isError).map(explain);
  if (errors.length > 0) throw new TardigradeError("BUILD_FAILED", errors.map(formatExplained).join("\n"));
  const module = await WebAssembly.compile(wasm);
  const hal: Record<string, () => number> = {};
  for (const { name } of WebAssembly.Module.imports(module)) hal[name] = () => 0;
  // The module itself says where things are, once started.
  const raft = (await WebAssembly.instantiate(module, { hal })).exports as unknown as {
    start(): void;
    memory_end(): number;
    node(): number;
    machine(): number;
    condition(): number;
  };
  raft.start();
  const places = { node: raft.node(), machine: raft.machine(), condition: raft.condition() };
  return { wasm, names, memoryBytes: raft.memory_end(), ...places };
}
