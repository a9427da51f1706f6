/**
 * Statement coverage of AssemblyScript. Its syntax is TypeScript's, so TypeScript parses it: a call that counts is put
 * before every statement of every function, and a branch without braces gets them. The instrumented sources are compiled
 * with one more file that holds the counters.
 */
import { globSync, readFileSync } from "node:fs";
import { join } from "node:path";
import ts from "typescript";

export const COVERAGE_WASM = "core-coverage.wasm";
export const COVERAGE_COMPONENT = "coverage-component";
export const COVERAGE_FOLDER = "coverage-assembly";

export interface CoverageExports {
  coverageHits(): number;
  coverageCount(): number;
}

export interface Instrumented {
  /** Texts by path relative to the repository. */
  readonly sources: ReadonlyMap<string, string>;
  /** Where each counter stands. */
  readonly counters: readonly { readonly path: string; readonly line: number }[];
  readonly entry: string;
}

export function instrumentAssembly(root: string): Instrumented {
  const sources = new Map<string, string>();
  const counters: { path: string; line: number }[] = [];
  for (const path of globSync("assembly/**/*.ts", { cwd: root }).sort()) {
    // plugin/ is linked into plugins, not into the core: test/host/gateway/plugin.test.ts runs it in components of its own.
    // lockfree/ may have no memory of its own for counters; test/interleavings runs it access by access.
    if (path.endsWith(".generated.ts") || /^assembly\/(plugin\/|lockfree\/|shared\.ts)/.test(path)) continue;
    const text = readFileSync(join(root, path), "utf8");
    const up = "../".repeat(path.split("/").length - 2) || "./";
    const counted = instrument(text, (line) => counters.push({ path, line }) - 1);
    sources.set(path, `import { coverageHit } from "${up}coverage-counters"; ${counted}`);
  }
  const entry = "assembly/coverage-counters.ts";
  sources.set(
    entry,
    `const HITS: usize = memory.data(${counters.length * 4}, 8);
     export function coverageHit(id: i32): void { const at = HITS + (<usize>id << 2); store<u32>(at, load<u32>(at) + 1); }
     export function coverageHits(): usize { return HITS; }
     export function coverageCount(): i32 { return ${counters.length}; }`,
  );
  return { sources, counters, entry };
}

function instrument(text: string, counterAt: (line: number) => number): string {
  const file = ts.createSourceFile("module.ts", text, ts.ScriptTarget.Latest, true);
  const insertions: { at: number; text: string }[] = [];
  const count = (node: ts.Node, before = ""): void => {
    const at = node.getStart(file);
    const id = counterAt(file.getLineAndCharacterOfPosition(at).line + 1);
    insertions.push({ at, text: `${before}coverageHit(${id}); ` });
  };
  const branch = (statement: ts.Statement | undefined): void => {
    if (statement === undefined || ts.isBlock(statement)) return;
    count(statement, "{ ");
    insertions.push({ at: statement.getEnd(), text: " }" });
  };
  const visit = (node: ts.Node): void => {
    if (ts.isBlock(node) || ts.isCaseOrDefaultClause(node)) {
      for (const statement of node.statements) if (!ts.isBlock(statement)) count(statement);
    } else if (ts.isIfStatement(node)) {
      branch(node.thenStatement);
      branch(node.elseStatement);
    } else if (ts.isForStatement(node) || ts.isWhileStatement(node)) {
      branch(node.statement);
    }
    ts.forEachChild(node, visit);
  };
  visit(file);
  // From the end, so that places stay valid; of insertions at one place the later made stands inside.
  let result = text;
  const ordered = insertions.map((insertion, index) => ({ ...insertion, index }));
  for (const { at, text: added } of ordered.sort((a, b) => b.at - a.at || b.index - a.index)) {
    result = result.slice(0, at) + added + result.slice(at);
  }
  return result;
}
