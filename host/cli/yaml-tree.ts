/**
 * YAML as a tree that knows where each key and value stands in the text. Hostile input is bounded here: how deep it nests, before
 * the parser recurses into it, and how far its aliases may multiply.
 */
import {
  type Document,
  isAlias,
  isMap,
  isNode,
  isScalar,
  isSeq,
  type LineCounter,
  type Node,
  parseDocument,
  visit,
} from "yaml";

const DEPTH_MAX = 32;
/** Nodes that aliases may stand for. */
const ALIASES_MAX = 100;

export interface Problem {
  readonly code: "CONFIG_INVALID" | "AUTH_REQUIRED";
  /** Of the text, for line and column. */
  readonly position: number;
  readonly message: string;
}

export type Path = readonly (string | number)[];

export function parseTree(
  text: string,
  lines: LineCounter,
): { document: Document.Parsed; problems: Problem[] } {
  const tooDeep = depthProblem(text);
  if (tooDeep !== undefined) return { document: parseDocument(""), problems: [tooDeep] };
  const document = parseDocument(text, { lineCounter: lines, prettyErrors: false, logLevel: "error" });
  const problems = [...document.errors, ...document.warnings].map((error) =>
    problem(error.pos[0], advice(error.code, error.message)),
  );
  return { document, problems };
}

/** The parser recurses; brackets alone could nest as deep as the file is long. */
function depthProblem(text: string): Problem | undefined {
  let depth = 0;
  for (let at = 0; at < text.length; at += 1) {
    const char = text[at];
    if (char === "[" || char === "{") depth += 1;
    else if (char === "]" || char === "}") depth = Math.max(depth - 1, 0);
    if (depth > DEPTH_MAX) return problem(at, `nested deeper than ${DEPTH_MAX} brackets`);
  }
  // The same in block style: every level is indented, or is a dash of its own.
  for (const match of text.matchAll(/^[ ]*(?:[-?][ ]+){8,}|^[ ]{200,}(?=[^ #\r\n])/gm)) {
    return problem(match.index, "indented deeper than any setting; is it the right file?");
  }
  return undefined;
}

function advice(code: string, message: string): string {
  const first = (message.split("\n", 1)[0] as string).replace(/\.$/, "");
  switch (code) {
    case "TAB_AS_INDENT":
      return "a tab indents this line; YAML takes spaces only";
    case "DUPLICATE_KEY":
      return "this key stands twice in its section; keep one";
    case "MULTIPLE_DOCS":
      return "a second document begins here; the file holds one";
    case "TAG_RESOLVE_FAILED":
      return `${first}; tags have no meaning here`;
    default:
      return first;
  }
}

/** The value of the text, as a tree of its own: what aliases share must not get another section's defaults. */
export function plainValue(document: Document.Parsed, problems: Problem[]): unknown {
  try {
    const value: unknown = document.toJS({ maxAliasCount: ALIASES_MAX });
    return JSON.parse(JSON.stringify(value ?? {}));
  } catch (error) {
    let position = 0;
    visit(document, {
      Alias: (_key, node) => {
        position = node.range?.[0] ?? 0;
        return node.resolve(document) === undefined ? visit.BREAK : undefined;
      },
    });
    const message = error instanceof Error ? error.message : String(error);
    problems.push(problem(position, `${message}; write the values out instead of aliases`));
    return undefined;
  }
}

/** Where a key stands. */
export function keyPosition(document: Document, path: Path): number {
  const name = path.at(-1);
  const parent = nodeAt(document, path.slice(0, -1));
  if (isMap(parent)) {
    for (const { key } of parent.items) {
      if (isNode(key) && String(isScalar(key) ? key.value : key) === name) return key.range?.[0] ?? 0;
    }
  }
  return valuePosition(document, path);
}

/** Where the value stands; where it comes of a default, the nearest section around it. */
export function valuePosition(document: Document, path: Path): number {
  for (let length = path.length; length > 0; length -= 1) {
    const node = nodeAt(document, path.slice(0, length));
    if (node?.range != null) return node.range[0];
  }
  return document.contents?.range?.[0] ?? 0;
}

function nodeAt(document: Document, path: Path): Node | undefined {
  let node: unknown = document.contents;
  for (const part of path) {
    const resolved: unknown = isAlias(node) ? node.resolve(document) : node;
    if (isMap(resolved)) {
      const pair = resolved.items.find((it) => isScalar(it.key) && String(it.key.value) === String(part));
      node = pair?.value;
    } else if (isSeq(resolved)) node = resolved.items[Number(part)];
    else return undefined;
  }
  return isNode(node) ? node : undefined;
}

export function problem(position: number, message: string): Problem {
  return { code: "CONFIG_INVALID", position, message };
}
