/** Flash and RAM by function and variable, from the linker's symbols, under the names that the sources give them. */

export interface SymbolSize {
  readonly name: string;
  /** flash: code and constants. ram: variables. */
  readonly place: "flash" | "ram";
  readonly bytes: number;
}

/** `nm -S`: address, size, type, name. `names` are the module's functions by index; wasm2c calls them MODULE_f<index>. */
export function sizesOf(
  nm: string,
  module: string,
  names: readonly string[],
  ramAddress: number,
): readonly SymbolSize[] {
  const sizes: SymbolSize[] = [];
  for (const [, address, size, name] of nm.matchAll(/^([0-9a-f]{8}) ([0-9a-f]{8}) \w (\S+)$/gm)) {
    const bytes = Number.parseInt(size as string, 16);
    const at = Number.parseInt(address as string, 16);
    sizes.push({
      name: ownName(name as string, module, names),
      place: at >= ramAddress ? "ram" : "flash",
      bytes,
    });
  }
  return sizes.sort((a, b) => b.bytes - a.bytes || (a.name < b.name ? -1 : 1));
}

function ownName(name: string, module: string, names: readonly string[]): string {
  const index = new RegExp(`^${module}_f(\\d+)`).exec(name)?.[1];
  const own = index === undefined ? undefined : names[Number(index)];
  return own === undefined ? name : own.replace("~lib/tardigrade/", "");
}
