/** Values of options, read and bounded. */
import { InvalidArgumentError } from "commander";

export function integer(low: number, high: number): (text: string) => number {
  return (text) => {
    const value = Number(text);
    if (!Number.isInteger(value) || value < low || value > high)
      throw new InvalidArgumentError(`must be ${low} to ${high}.`);
    return value;
  };
}

/** `90`, `90s`, `10m`, `1h`: seconds. */
export function duration(text: string): number {
  const found = /^([0-9]+(?:\.[0-9]+)?)(ms|s|m|h)?$/.exec(text);
  const unit = { ms: 0.001, s: 1, m: 60, h: 3600 }[found?.[2] ?? "s"] ?? 1;
  const value = Number(found?.[1]) * unit;
  if (!(value > 0 && value <= 2_592_000))
    throw new InvalidArgumentError("must be a time such as 30s, 10m or 1h.");
  return value;
}
