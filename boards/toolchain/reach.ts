/**
 * Which functions of a compiled app can reach the allocator once `setup` is over.
 *
 * After set-up nothing may allocate: a device that runs for years must not depend on what its heap looks like by then. The
 * compiler's text before optimization names every function, so the call graph is read from it: direct calls, and for an
 * indirect call every function in the table (an over-approximation that is exact enough: the table holds the app's
 * callbacks, which are what we ask about).
 */

/** Entry points after set-up. */
const CALLBACKS = ["on_timer", "on_command", "on_shadow"] as const;
const ALLOCATORS = /~lib\/rt\/(stub|itcms|tcms|tlsf)\/(__new|__alloc|__realloc|__renew)/;

interface Graph {
  readonly calls: ReadonlyMap<string, readonly string[]>;
  readonly exports: ReadonlyMap<string, string>;
}

/** The shortest way from a callback to the allocator, by function names; undefined when there is none. */
export function allocationPath(text: string): readonly string[] | undefined {
  const graph = readGraph(text);
  const from = new Map<string, string | undefined>();
  const queue: string[] = [];
  for (const name of CALLBACKS) {
    const start = graph.exports.get(name);
    if (start === undefined || from.has(start)) continue;
    from.set(start, undefined);
    queue.push(start);
  }
  for (let at = 0; at < queue.length; at += 1) {
    const name = queue[at] as string;
    if (ALLOCATORS.test(name)) return pathTo(name, from);
    for (const callee of graph.calls.get(name) ?? []) {
      if (from.has(callee)) continue;
      from.set(callee, name);
      queue.push(callee);
    }
  }
  return undefined;
}

function pathTo(end: string, from: ReadonlyMap<string, string | undefined>): readonly string[] {
  const path: string[] = [];
  for (let name: string | undefined = end; name !== undefined; name = from.get(name)) path.unshift(name);
  return path;
}

function readGraph(text: string): Graph {
  const calls = new Map<string, string[]>();
  const exports = new Map<string, string>();
  const table: string[] = [];
  const indirect: string[] = [];
  let current = "";
  for (const line of text.split("\n")) {
    const declared = /^ \(func (\$[^\s)]+)/.exec(line);
    if (declared) {
      current = declared[1] as string;
      calls.set(current, []);
    }
    const exported = /^ \(export "([^"]+)" \(func (\$[^\s)]+)\)/.exec(line);
    if (exported) exports.set(exported[1] as string, exported[2] as string);
    if (/^ \(elem /.test(line)) table.push(...(line.match(/\$[^\s)]+/g) ?? []));
    for (const call of line.matchAll(/\(call (\$[^\s)]+)/g)) calls.get(current)?.push(call[1] as string);
    if (line.includes("(call_indirect")) indirect.push(current);
  }
  for (const caller of indirect) calls.get(caller)?.push(...table);
  return { calls, exports };
}
