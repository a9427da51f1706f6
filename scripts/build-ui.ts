/**
 * Builds the web page from host/api/ui into `build/ui` (or a folder named): scripts and style with their hash in their names, so that a
 * browser may keep them for ever, and the document that names them. Nothing is done while a hash of the sources is the one of
 * the last build.
 */
import { createHash } from "node:crypto";
import { existsSync, globSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { basename, join } from "node:path";
import { build } from "esbuild";

const ROOT = join(import.meta.dirname, "..");
const SOURCE = "host/api/ui";

export async function buildUi(folder: string): Promise<void> {
  const stamp = join(folder, ".hash");
  const hash = sourcesHash();
  if (existsSync(stamp) && readFileSync(stamp, "utf8") === hash) return;
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder, { recursive: true });
  const { metafile } = await build({
    absWorkingDir: ROOT,
    entryPoints: [`${SOURCE}/main.tsx`, `${SOURCE}/style.css`, `${SOURCE}/chart.css`],
    outdir: folder,
    entryNames: "[name]-[hash]",
    chunkNames: "[name]-[hash]",
    bundle: true,
    splitting: true,
    minify: true,
    format: "esm",
    target: "es2022",
    jsx: "automatic",
    jsxImportSource: "preact",
    metafile: true,
    logLevel: "warning",
  });
  const named = (start: string, end: string): string => {
    const found = Object.keys(metafile.outputs).map((path) => basename(path));
    return found.find((name) => name.startsWith(`${start}-`) && name.endsWith(end)) ?? "";
  };
  const html = readFileSync(join(ROOT, SOURCE, "document.html"), "utf8")
    .replace("STYLE", `/ui/${named("style", ".css")}`)
    .replace("CHART", `/ui/${named("chart", ".css")}`)
    .replace("SCRIPT", `/ui/${named("main", ".js")}`);
  writeFileSync(join(folder, "index.html"), html);
  writeFileSync(stamp, hash);
}

function sourcesHash(): string {
  const hash = createHash("sha256");
  const sources = globSync(`${SOURCE}/**/*`, { cwd: ROOT, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name))
    .sort();
  for (const path of [...sources, join(ROOT, "scripts/build-ui.ts"), join(ROOT, "package-lock.json")]) {
    hash.update(path.slice(ROOT.length)).update("\0").update(readFileSync(path)).update("\0");
  }
  return hash.digest("hex");
}

if (import.meta.main) await buildUi(join(ROOT, "build/ui"));
