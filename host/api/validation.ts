/**
 * Checks inputs against their schemas by typebox, in place of fastify's ajv set-up, which drops unknown keys in silence and turns
 * "1" into 1 inside bodies. Here text becomes a number only where HTTP knows nothing but text (query, parameters).
 */
import type { TSchema } from "typebox";
import { Compile } from "typebox/compile";
import { Value } from "typebox/value";
import { TardigradeError } from "../../protocols/error.ts";

/** Problems named in one answer. */
const PROBLEMS_MAX = 5;

export type HttpPart = "body" | "querystring" | "params" | "headers";

export function validatorOf(
  schema: TSchema,
  part: HttpPart,
): (input: unknown) => { value: unknown } | { error: Error } {
  const compiled = Compile(schema);
  return (input) => {
    // A missing query or body is an empty one to neither schema: only the query has defaults.
    const value = part === "querystring" ? Value.Convert(schema, Value.Default(schema, input ?? {})) : input;
    if (compiled.Check(value)) return { value };
    return { error: new TardigradeError("REQUEST_INVALID", problemsOf(schema, value, part)) };
  };
}

function problemsOf(schema: TSchema, value: unknown, part: HttpPart): string {
  const problems = new Set<string>();
  for (const problem of Value.Errors(schema, value)) {
    // Branches of a union, and the schema `false` that stands for a forbidden key, are told by their parent.
    if (problem.keyword === "boolean" || problem.schemaPath.includes("/anyOf/")) continue;
    problems.add(sentence(problem, part));
    if (problems.size === PROBLEMS_MAX) break;
  }
  return [...problems].join("; ");
}

type Problem = ReturnType<typeof Value.Errors>[number];

function sentence(problem: Problem, part: HttpPart): string {
  const where = part + problem.instancePath;
  const params = problem.params as {
    additionalProperties?: unknown;
    requiredProperties?: unknown;
    allowedValues?: unknown;
  };
  switch (problem.keyword) {
    case "additionalProperties":
      return `${where}: unknown ${quote(params.additionalProperties)}`;
    case "required":
      return `${where}: ${quote(params.requiredProperties)} is missing`;
    case "enum":
      return `${where}: must be one of ${quote(params.allowedValues)}`;
    case "anyOf":
      return `${where}: must be a boolean, a number or a short text`;
    default:
      return `${where}: ${problem.message}`;
  }
}

function quote(names: unknown): string {
  const list = Array.isArray(names) ? names : [names];
  return list
    .slice(0, PROBLEMS_MAX)
    .map((name) => JSON.stringify(String(name).slice(0, 40)))
    .join(", ");
}
