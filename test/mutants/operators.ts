/**
 * Faults made by rule: small changes of AssemblyScript's text, as a tired programmer makes them. Its syntax is TypeScript's, so TypeScript parses it.
 *
 *   compare    < and <=, > and >=, == and !=, && and || change places
 *   bound      what is compared with, or bounds a loop, is one more or one less
 *   sign       + and - change places, ++ and --; a minus goes
 *   constant   a number is one more; true and false change places
 *   dropped    a call whose value nobody uses (a store, mostly) is not made
 */
import ts from "typescript";

export const OPERATORS = ["compare", "bound", "sign", "constant", "dropped"] as const;
export type Operator = (typeof OPERATORS)[number];

export interface GeneratedMutant {
  readonly file: string;
  /** From 1. */
  readonly line: number;
  readonly operator: Operator;
  /** What stands in the source, and what instead of it. */
  readonly from: string;
  readonly to: string;
  /** The whole source with the fault in it. */
  readonly source: string;
  /** The line of the fault, trimmed: names it together with `from` and `to`, wherever in the file it stands. */
  readonly text: string;
}

interface Change {
  readonly operator: Operator;
  readonly start: number;
  readonly end: number;
  readonly to: string;
}

const COMPARISONS: ReadonlyMap<ts.SyntaxKind, string> = new Map([
  [ts.SyntaxKind.LessThanToken, "<="],
  [ts.SyntaxKind.LessThanEqualsToken, "<"],
  [ts.SyntaxKind.GreaterThanToken, ">="],
  [ts.SyntaxKind.GreaterThanEqualsToken, ">"],
  [ts.SyntaxKind.EqualsEqualsToken, "!="],
  [ts.SyntaxKind.ExclamationEqualsToken, "=="],
]);
const CONNECTIVES: ReadonlyMap<ts.SyntaxKind, string> = new Map([
  [ts.SyntaxKind.AmpersandAmpersandToken, "||"],
  [ts.SyntaxKind.BarBarToken, "&&"],
]);
const SIGNS: ReadonlyMap<ts.SyntaxKind, string> = new Map([
  [ts.SyntaxKind.PlusToken, "-"],
  [ts.SyntaxKind.MinusToken, "+"],
  [ts.SyntaxKind.PlusEqualsToken, "-="],
  [ts.SyntaxKind.MinusEqualsToken, "+="],
]);

/** Every fault of a file, in the order of its text. */
export function mutantsOf(file: string, source: string): readonly GeneratedMutant[] {
  const parsed = ts.createSourceFile(file, source, ts.ScriptTarget.Latest, true);
  const lines = source.split("\n");
  const seen = new Set<string>();
  const changes: Change[] = [];
  const visit = (node: ts.Node): void => {
    // Names and types carry no behaviour.
    if (ts.isImportDeclaration(node) || ts.isExportDeclaration(node) || ts.isTypeNode(node)) return;
    changes.push(...changesOf(node, parsed));
    ts.forEachChild(node, visit);
  };
  visit(parsed);
  return changes
    .map(({ operator, start, end, to }): GeneratedMutant => {
      const line = parsed.getLineAndCharacterOfPosition(start).line;
      const changed = source.slice(0, start) + to + source.slice(end);
      const text = (lines[line] ?? "").trim();
      return { file, line: line + 1, operator, from: source.slice(start, end), to, source: changed, text };
    })
    .filter(({ source: changed }) => !seen.has(changed) && seen.add(changed).size > 0);
}

/**
 * A seeded choice without end: of each file in turn, and of each operator in turn within a file, so that neither a long file nor the many numbers
 * crowd out the rest.
 */
export function spread(
  files: readonly (readonly GeneratedMutant[])[],
  below: (bound: number) => number,
): readonly GeneratedMutant[] {
  const queues = shuffled(files, below).map((mutants) =>
    inTurn(
      OPERATORS.map((operator) =>
        shuffled(
          mutants.filter((each) => each.operator === operator),
          below,
        ),
      ),
    ),
  );
  return inTurn(queues);
}

function inTurn<T>(queues: readonly (readonly T[])[]): T[] {
  const longest = Math.max(0, ...queues.map((queue) => queue.length));
  return Array.from({ length: longest }, (_, turn) =>
    queues.flatMap((queue) => queue.slice(turn, turn + 1)),
  ).flat();
}

function shuffled<T>(list: readonly T[], below: (bound: number) => number): T[] {
  const left = [...list];
  return Array.from({ length: left.length }, () => left.splice(below(left.length), 1)).flat();
}

function changesOf(node: ts.Node, file: ts.SourceFile): Change[] {
  const change = (operator: Operator, of: ts.Node, to: string): Change => ({
    operator,
    start: of.getStart(file),
    end: of.getEnd(),
    to,
  });
  if (ts.isBinaryExpression(node)) {
    const { kind } = node.operatorToken;
    const connective = CONNECTIVES.get(kind);
    if (connective !== undefined) return [change("compare", node.operatorToken, connective)];
    const sign = SIGNS.get(kind);
    if (sign !== undefined) return [change("sign", node.operatorToken, sign)];
    const comparison = COMPARISONS.get(kind);
    if (comparison === undefined) return [];
    const bound = boundOf(node);
    const moved = bound === undefined ? [] : movedBounds(bound, file).map((to) => change("bound", bound, to));
    return [change("compare", node.operatorToken, comparison), ...moved];
  }
  if (ts.isPrefixUnaryExpression(node)) {
    if (node.operator === ts.SyntaxKind.MinusToken) return [change("sign", node, node.operand.getText(file))];
    if (node.operator === ts.SyntaxKind.PlusPlusToken)
      return [change("sign", node, `--${node.operand.getText(file)}`)];
    if (node.operator === ts.SyntaxKind.MinusMinusToken)
      return [change("sign", node, `++${node.operand.getText(file)}`)];
    return [];
  }
  // The numbers of comparisons are bounds.
  if (ts.isNumericLiteral(node) && !isBound(node))
    return [change("constant", node, plusOne(node.getText(file)))];
  if (node.kind === ts.SyntaxKind.TrueKeyword) return [change("constant", node, "false")];
  if (node.kind === ts.SyntaxKind.FalseKeyword) return [change("constant", node, "true")];
  if (ts.isExpressionStatement(node) && ts.isCallExpression(node.expression))
    return [change("dropped", node, ";")];
  return [];
}

/** What a comparison compares with: a constant on either side, or the right side of a loop's condition. */
function boundOf(node: ts.BinaryExpression): ts.Expression | undefined {
  if (isConstant(node.right)) return node.right;
  if (isConstant(node.left)) return node.left;
  const { parent } = node;
  const isLoop = (ts.isForStatement(parent) && parent.condition === node) || ts.isWhileStatement(parent);
  return isLoop ? node.right : undefined;
}

function isConstant(node: ts.Expression): boolean {
  return ts.isNumericLiteral(node) || (ts.isIdentifier(node) && /^[A-Z][A-Z0-9_]+$/.test(node.text));
}

function isBound(node: ts.NumericLiteral): boolean {
  const { parent } = node;
  return (
    ts.isBinaryExpression(parent) && boundOf(parent) === node && COMPARISONS.has(parent.operatorToken.kind)
  );
}

function movedBounds(bound: ts.Expression, file: ts.SourceFile): string[] {
  const text = bound.getText(file);
  if (!ts.isNumericLiteral(bound)) return [`(${text} + 1)`, `(${text} - 1)`];
  // One below 0 is no unsigned number: it would not compile, or be the largest.
  return Number(bound.text) === 0 ? ["1"] : [plusOne(text), `(${text} - 1)`];
}

/** In its own notation, so that a float stays one. */
function plusOne(literal: string): string {
  const digits = literal.replaceAll("_", "");
  if (digits.startsWith("0x")) return `0x${(BigInt(digits) + 1n).toString(16)}`;
  return /[.e]/.test(digits) ? `(${literal} + 1.0)` : `${BigInt(digits) + 1n}`;
}
