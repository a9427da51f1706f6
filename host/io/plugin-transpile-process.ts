/**
 * A process that lives for one component: holds it against the world, and turns it into JavaScript and core modules by jco. That takes from
 * a tenth of a second to seconds, and memory that a thread would leave behind in the gateway's process.
 */

export interface TranspileJob {
  readonly component: Uint8Array;
  /** Text of protocols/wit/plugin.wit. */
  readonly world: string;
}

export type Transpiled =
  | {
      readonly ok: true;
      readonly script: string;
      readonly modules: readonly (readonly [string, Uint8Array])[];
    }
  | { readonly ok: false; readonly code: "PLUGIN_INVALID" | "DEPENDENCY_MISSING"; readonly message: string };

/** The world's or a component's declarations, each on one line: records, variants, imports and exports. */
function declarationsOf(wit: string): readonly string[] {
  const text = wit.replaceAll(/\/\/.*$/gm, "").replaceAll(/\s+/g, " ");
  const body = /\bworld [\w-]+ \{(.*)\}/.exec(text)?.[1] ?? "";
  return [...body.matchAll(/\w[^{};]*(?:;|\{[^{}]*\}(?:;)?)/g)].map(([found]) =>
    found.replaceAll(/\s+/g, " ").replaceAll(/,? \}/g, " }").trim(),
  );
}

/** What keeps the component from being a plugin; undefined when nothing does. */
function problemOf(found: readonly string[], wanted: readonly string[]): string | undefined {
  const lacking = wanted.find((it) => !found.includes(it));
  if (lacking === undefined) return undefined;
  return `it lacks \`${lacking}\` of the world tardigrade:plugin@0.1.0; build it against protocols/wit/plugin.wit`;
}

async function transpile({ component, world }: TranspileJob): Promise<Transpiled> {
  let jco: typeof import("@bytecodealliance/jco-transpile");
  let tools: typeof import("@bytecodealliance/jco-transpile/wasm-tools");
  try {
    jco = await import("@bytecodealliance/jco-transpile");
    tools = await import("@bytecodealliance/jco-transpile/wasm-tools");
  } catch {
    const message =
      "plugins need the package @bytecodealliance/jco-transpile, which is not installed; run `npm install @bytecodealliance/jco-transpile`";
    return { ok: false, code: "DEPENDENCY_MISSING", message };
  }
  try {
    const problem = problemOf(declarationsOf(await tools.componentWit(component)), declarationsOf(world));
    if (problem !== undefined) return { ok: false, code: "PLUGIN_INVALID", message: problem };
    const { files, imports } = await jco.transpileBytes(component, {
      name: "plugin",
      instantiation: "sync",
      wasiShim: false,
      base64Cutoff: 0,
      tlaCompat: false,
      emitTypescriptDeclarations: false,
    });
    if (imports.length > 0) {
      const message = `it imports ${imports.join(", ")}, and a plugin gets nothing; build it without what needs them`;
      return { ok: false, code: "PLUGIN_INVALID", message };
    }
    const modules = Object.entries(files).filter(([name]) => name.endsWith(".wasm"));
    const script = new TextDecoder().decode(files["plugin.js"]);
    return { ok: true, script, modules };
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    const message = `it is no component that jco can read: ${reason.split("\n", 1)[0]}`;
    return { ok: false, code: "PLUGIN_INVALID", message };
  }
}

process.once("message", async (job: TranspileJob) => {
  process.send?.(await transpile(job), () => process.disconnect());
});
