/**
 * Structs in linear memory: many accesses go through one base, a parameter or local, at constant offsets. One comparison when the base is set
 * answers for all of them: aligned, and so far from the arena's end that the furthest access still lies inside. Then an access is a test of a pointer
 * and the access itself. Where the comparison fails, the pointer is null and each access is checked by itself, as it would have been: so what traps,
 * where, and what merely is not aligned stays the same. An access whose offset breaks its alignment is never one of them.
 *
 * wasm2c moves a base to a variable of its stack before each use; copies are followed in straight lines only, and whatever is not plain keeps
 * its own check.
 */

/** Accesses a base must serve for each time that it is set: below, the comparison costs more than it saves. */
const ACCESSES_MIN = 3;
/** A Cortex-M0+ loads 64 bits as two words. */
const ALIGN_MAX = 4;

interface Base {
  /** Lines whose access goes through it. */
  readonly accesses: Set<number>;
  readonly assignments: Set<number>;
  isRead: boolean;
  /** Bytes from the base to the end of its furthest access. */
  extent: number;
  /** The largest alignment that an access wants. */
  align: number;
}

const ACCESS = /\b([if]\d\d_(?:load|store)\w*)\((var_i\d+)(?: \+ (\d+)u)?(?=[,)])/;
const ASSIGNMENT = /^ *(var_[a-z]\d+) ([-+*/%&|^]|<<|>>)?= ([^;]*);$/;
const LEAVES = /^ *if \(var_\w+\) \{goto \w+;\}$/;
/** What changes no variable and is nowhere jumped to: stores, calls without a result, jumps. */
const PLAIN = /^ *(?:\w+\([^;{}]*\)|goto \w+|\(\(.*\)\)\([^;{}]*\));$|^ *$/;

/** `parameters` are the function's names for them; nothing changes in a body that gains nothing. */
export function withBases(body: string, parameters: readonly string[], arenaBytes: number): string {
  const lines = body.split("\n");
  const chosen = new Map(
    [...basesOf(lines)].filter(([name, base]) => isWorthIt(name, base, body, parameters, arenaBytes)),
  );
  const text = lines.map((line, index) => {
    for (const [name, base] of chosen) {
      if (base.accesses.has(index))
        return line.replace(
          ACCESS,
          (_all, access: string, stack: string, offset = "0") =>
            `near_${access}(${pointer(name)}, ${stack}, ${offset}u`,
        );
      if (base.assignments.has(index)) return `${line}\n  ${pointer(name)} = ${check(name, base)};`;
    }
    return line;
  });
  const declared = [...chosen].map(
    ([name, base]) => `  u8* ${pointer(name)} = ${parameters.includes(name) ? check(name, base) : "0"};\n`,
  );
  return declared.join("") + text.join("\n");
}

/**
 * A base that is only written through belongs to what sets a struct up, seldom: there flash counts for more. One that is written to in a way
 * not seen here is left alone.
 */
function isWorthIt(
  name: string,
  { accesses, assignments, isRead, extent }: Base,
  body: string,
  parameters: readonly string[],
  arenaBytes: number,
): boolean {
  const isParameter = parameters.includes(name);
  const written = body.match(new RegExp(`\\b${name} (?:[-+*/%&|^]|<<|>>)?= `, "g"))?.length ?? 0;
  // A local's declaration sets it too: to 0, which the null pointer stands for.
  const seen = assignments.size + (isParameter ? 0 : 1);
  const times = assignments.size + (isParameter ? 1 : 0);
  return isRead && accesses.size >= ACCESSES_MIN * times && written === seen && extent <= arenaBytes;
}

const pointer = (name: string) => name.replace("var_", "base_");
const check = (name: string, { extent, align }: Base) => `base_of(${name}, ${extent}, ${Math.log2(align)})`;

function basesOf(lines: readonly string[]): ReadonlyMap<string, Base> {
  const bases = new Map<string, Base>();
  const baseOf = (name: string): Base => {
    let base = bases.get(name);
    if (base === undefined) {
      base = { accesses: new Set(), assignments: new Set(), isRead: false, extent: 0, align: 1 };
      bases.set(name, base);
    }
    return base;
  };
  /** Variables of wasm2c's stack, and which base each is a copy of just now. */
  const copies = new Map<string, string>();
  lines.forEach((line, index) => {
    const access = accessOf(line);
    const through = access && copies.get(access.stack);
    if (access !== undefined && through !== undefined) {
      const base = baseOf(through);
      base.accesses.add(index);
      base.isRead ||= access.isLoad;
      base.extent = Math.max(base.extent, access.offset + access.bytes);
      base.align = Math.max(base.align, access.align);
    }
    const assignment = ASSIGNMENT.exec(line);
    if (assignment === null) {
      if (!PLAIN.test(line) && !LEAVES.test(line)) copies.clear();
      return;
    }
    const [, to, operator, value] = assignment as unknown as [string, string, string | undefined, string];
    const isCopy = operator === undefined;
    copies.delete(to);
    if (!/^var_[pl]/.test(to)) {
      if (isCopy && /^var_[pl]\d+$/.test(value)) copies.set(to, value);
      return;
    }
    for (const [copy, of] of copies) if (of === to) copies.delete(copy);
    baseOf(to).assignments.add(index);
    if (isCopy && /^var_i\d+$/.test(value)) copies.set(value, to);
  });
  return bases;
}

interface Access {
  readonly stack: string;
  readonly offset: number;
  readonly bytes: number;
  readonly align: number;
  readonly isLoad: boolean;
}

function accessOf(line: string): Access | undefined {
  const match = ACCESS.exec(line);
  if (match === null) return undefined;
  const [, access, stack, at = "0"] = match as unknown as [string, string, string, string | undefined];
  const bytes = Number(/(?:load|store)(8|16|32)/.exec(access)?.[1] ?? /^[if](32|64)/.exec(access)?.[1]) / 8;
  const align = Math.min(bytes, ALIGN_MAX);
  const offset = Number(at);
  return offset % align === 0 ? { stack, offset, bytes, align, isLoad: access.includes("load") } : undefined;
}
