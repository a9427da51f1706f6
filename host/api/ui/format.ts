/** Numbers, units, ages and sizes as people read them. */

/** What people write where UCUM writes something else. */
const UNITS: Readonly<Record<string, string>> = {
  Cel: "°C",
  "kW.h": "kWh",
  "V.A": "VA",
  "1": "",
};

export function unitText(unit: string): string {
  return UNITS[unit] ?? unit;
}

/** Four significant digits at most: 21.53, 1,013, 0.0042. */
export function numberText(value: number): string {
  if (!Number.isFinite(value)) return "–";
  const size = Math.abs(value);
  const digits = size >= 1000 ? 0 : size >= 100 ? 1 : size >= 10 ? 2 : 3;
  return value.toLocaleString("en-US", { maximumFractionDigits: size !== 0 && size < 0.1 ? 5 : digits });
}

export function valueText(value: number | undefined, unit: string): string {
  if (value === undefined) return "–";
  const shown = unitText(unit);
  return shown === "" ? numberText(value) : `${numberText(value)} ${shown}`;
}

/** `now`, `12 s`, `4 min`, `3 h`, `9 d`. */
export function ageText(ageMs: number): string {
  if (!Number.isFinite(ageMs)) return "never";
  const seconds = Math.floor(Math.max(0, ageMs) / 1000);
  if (seconds < 2) return "now";
  if (seconds < 120) return `${seconds} s`;
  if (seconds < 7200) return `${Math.floor(seconds / 60)} min`;
  if (seconds < 172_800) return `${Math.floor(seconds / 3600)} h`;
  return `${Math.floor(seconds / 86_400)} d`;
}

export function agoText(ageMs: number): string {
  const age = ageText(ageMs);
  return age === "now" || age === "never" ? age : `${age} ago`;
}

export function bytesText(bytes: number): string {
  if (!(bytes >= 1000)) return `${Math.round(bytes)} B`;
  if (bytes < 1e6) return `${numberText(bytes / 1e3)} kB`;
  return bytes < 1e9 ? `${numberText(bytes / 1e6)} MB` : `${numberText(bytes / 1e9)} GB`;
}

/** `true`, `27.5`, `auto`: what is typed becomes the value it looks like. Empty is none. */
export function parseValue(text: string): boolean | number | string | undefined {
  const trimmed = text.trim();
  if (trimmed === "") return undefined;
  if (trimmed === "true" || trimmed === "false") return trimmed === "true";
  return Number.isFinite(Number(trimmed)) ? Number(trimmed) : trimmed;
}

/** `seconds=5 zone=north`; a part without `=` is wrong and given back. */
export function parseArguments(
  text: string,
): { readonly args: Record<string, boolean | number | string> } | { readonly wrong: string } {
  const args: Record<string, boolean | number | string> = {};
  for (const part of text.trim().split(/\s+/).filter(Boolean)) {
    const at = part.indexOf("=");
    const value = at > 0 ? parseValue(part.slice(at + 1)) : undefined;
    if (value === undefined) return { wrong: part };
    args[part.slice(0, at)] = value;
  }
  return { args };
}
