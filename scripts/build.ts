/**
 * `npm run build`: what is published, in dist/. Node strips no types inside node_modules, so esbuild bundles ours and leaves
 * the dependencies alone; tsc writes the declarations of the public entry points.
 */
import { spawnSync } from "node:child_process";
import { chmodSync, copyFileSync, globSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { build } from "esbuild";
import { buildUi } from "./build-ui.ts";
import { buildWasm } from "./build-wasm.ts";
import { ROOT } from "./run-steps.ts";

const DIST = join(ROOT, "dist");
/** TypeBox is the one that is bundled: of its 3 MB of modules we use a tenth, and loading them all costs a gateway 12 MB. */
const { dependencies, optionalDependencies, peerDependencies } = JSON.parse(
  readFileSync(join(ROOT, "package.json"), "utf8"),
);

rmSync(DIST, { recursive: true, force: true });
await buildWasm();
await buildUi(join(DIST, "ui"));
rmSync(join(DIST, "ui/.hash"), { force: true });
const { metafile } = await build({
  absWorkingDir: ROOT,
  entryPoints: {
    cli: "host/cli/main.ts",
    "uno-worker": "host/cli/uno-worker.ts",
    policy: "host/exports/policy.ts",
    hash: "host/exports/hash.ts",
    stats: "host/exports/stats.ts",
    clock: "host/exports/clock.ts",
    trace: "host/exports/trace.ts",
    lockfree: "host/exports/lockfree.ts",
    cluster: "host/exports/cluster.ts",
    protocol: "host/exports/protocol.ts",
    virtual: "host/exports/virtual.ts",
    gateway: "host/exports/gateway.ts",
    sim: "host/exports/sim.ts",
    // Threads and processes start from files of their own.
    "world-thread": "host/cli/world-thread.ts",
    "plugin-thread": "host/io/plugin-thread.ts",
    "plugin-transpile-process": "host/io/plugin-transpile-process.ts",
  },
  outdir: DIST,
  bundle: true,
  // Commands are loaded when called, and parts they share are not bundled twice.
  splitting: true,
  chunkNames: "chunks/[name]-[hash]",
  format: "esm",
  platform: "node",
  target: "node22",
  external: Object.keys({ ...dependencies, ...optionalDependencies, ...peerDependencies }),
  metafile: true,
});
// The core is looked for beside the code that loads it, which may be a chunk.
for (const folder of new Set(Object.keys(metafile.outputs).map((path) => join(ROOT, path, "..")))) {
  for (const name of ["core.wasm", "shared.wasm"])
    copyFileSync(join(ROOT, "build", name), join(folder, name));
}
chmodSync(join(DIST, "cli.js"), 0o755);
declarations();
const bytes = globSync("**/*.{js,wasm}", { cwd: DIST }).reduce(
  (sum, name) => sum + statSync(join(DIST, name)).size,
  0,
);
console.error(`build: dist/ holds ${Math.round(bytes / 1024)} KB of code`);

function declarations(): void {
  const types = join(DIST, "types");
  const { status } = spawnSync(
    process.execPath,
    [
      "node_modules/typescript/bin/tsc",
      "-p",
      "tsconfig.json",
      "--noEmit",
      "false",
      "--emitDeclarationOnly",
      "--declaration",
      "--rootDir",
      ".",
      "--outDir",
      types,
    ],
    { cwd: ROOT, stdio: "inherit" },
  );
  if (status !== 0) process.exit(1);
  for (const name of globSync("**/*.d.ts", { cwd: types })) {
    const path = join(types, name);
    if (!/^(host|protocols|boards)\//.test(name)) rmSync(path);
    else
      writeFileSync(
        path,
        readFileSync(path, "utf8").replaceAll(/(from|import\()\s*"(\.[^"]+)\.ts"/g, '$1 "$2.js"'),
      );
  }
}
