/** What a board is: one JSON a board beside this file, all of this one shape, checked when it is read. */
import { TardigradeError } from "../../protocols/error.ts";
import pico from "./pico.json" with { type: "json" };
import posix from "./posix.json" with { type: "json" };
import virtual from "./virtual.json" with { type: "json" };

export const BOARDS = ["virtual", "pico", "posix"] as const;
export type BoardName = (typeof BOARDS)[number];

/** A part of flash or RAM, as an offset into it. */
export interface Area {
  readonly offset: number;
  readonly bytes: number;
}

/** How far a board was tried; docs/features.md shows it. */
export interface Tried {
  readonly simulated: "yes" | "no";
  readonly emulated: "yes" | "no";
  readonly silicon: "yes" | "not yet";
}

interface Common {
  readonly name: BoardName;
  readonly title: string;
  readonly tried: Tried;
  readonly pins: number;
  readonly adcChannels: number;
  /** RAM that keeps unacknowledged messages over a warm reset. */
  readonly retainedBytes: number;
}

/** The app runs as WebAssembly. */
export interface VirtualDefinition extends Common {
  readonly kind: "virtual";
}
/** Base and app are compiled into one program of the operating system. */
export interface HostedDefinition extends Common {
  readonly kind: "hosted";
  readonly journalBytes: number;
}
/** Base and app are images of their own in flash. */
export interface NativeDefinition extends Common {
  readonly kind: "native";
  /** Folder of firmware/port. */
  readonly port: string;
  readonly flash: {
    readonly address: number;
    readonly bytes: number;
    readonly base: Area;
    readonly metadata: readonly Area[];
    readonly journal: Area;
    readonly slots: readonly (Area & { readonly name: string })[];
    readonly storage: Area;
  };
  readonly ram: { readonly address: number; readonly bytes: number; readonly base: Area; readonly app: Area };
  readonly stackBytes: number;
  /** Of the stack: what an app may not touch, because its calls into the system and interrupts need it. */
  readonly stackReserveBytes: number;
  /** Rings between the link's interrupt and the base. */
  readonly linkInBytes: number;
  readonly linkOutBytes: number;
  readonly uf2Family: number;
  /** What the boot loader's drive calls itself. */
  readonly uf2BoardId: string;
}
export type BoardDefinition = VirtualDefinition | HostedDefinition | NativeDefinition;

const FILES: Readonly<Record<BoardName, unknown>> = { virtual, pico, posix };
const SECTOR = 4096;

/** Throws BUILD_BOARD naming the boards there are. */
export function boardNamed(name: string): BoardDefinition {
  const known = BOARDS.find((board) => board === name);
  if (known === undefined) {
    throw new TardigradeError("BUILD_BOARD", `There is no board "${name}"; there is ${BOARDS.join(", ")}.`);
  }
  return parseDefinition(FILES[known], `${known}.json`);
}

type Json = Readonly<Record<string, unknown>>;

/** Addresses stand as hexadecimal text, since JSON has no such numbers. Throws BUILD_BOARD naming file and key. */
export function parseDefinition(value: unknown, file: string): BoardDefinition {
  const wrong = (what: string) => new TardigradeError("BUILD_BOARD", `boards/definitions/${file}: ${what}.`);
  const object = (of: Json, key: string): Json => {
    const found = of[key];
    if (typeof found !== "object" || found === null || Array.isArray(found))
      throw wrong(`"${key}" is no object`);
    return found as Json;
  };
  const number = (of: Json, key: string): number => {
    const found = of[key];
    const parsed = typeof found === "string" && /^0x[0-9a-f]+$/.test(found) ? Number(found) : found;
    if (typeof parsed !== "number" || !Number.isSafeInteger(parsed) || parsed < 0)
      throw wrong(`"${key}" is no whole number`);
    return parsed;
  };
  const list = (of: Json, key: string): readonly Json[] => {
    const found = of[key];
    if (!Array.isArray(found)) throw wrong(`"${key}" is no list`);
    return found as readonly Json[];
  };
  const text = (of: Json, key: string): string => {
    const found = of[key];
    if (typeof found !== "string" || found === "") throw wrong(`"${key}" is no text`);
    return found;
  };
  const area = (of: Json): Area => ({ offset: number(of, "offset"), bytes: number(of, "bytes") });
  const top = object({ file: value }, "file");
  const tried = object(top, "tried");
  const common = {
    name: text(top, "name") as BoardName,
    title: text(top, "title"),
    tried: {
      simulated: text(tried, "simulated"),
      emulated: text(tried, "emulated"),
      silicon: text(tried, "silicon"),
    } as Tried,
    pins: number(top, "pins"),
    adcChannels: number(top, "adcChannels"),
    retainedBytes: number(top, "retainedBytes"),
  };
  if (common.retainedBytes < 4096 || common.retainedBytes % 8 !== 0)
    throw wrong(`"retainedBytes" must be a multiple of 8 from 4096 on`);
  const kind = text(top, "kind");
  if (kind === "virtual") return { ...common, kind };
  if (kind === "hosted") return { ...common, kind, journalBytes: number(top, "journalBytes") };
  if (kind !== "native") throw wrong(`"kind" is virtual, hosted or native, not "${kind}"`);
  const flash = object(top, "flash");
  const ram = object(top, "ram");
  const definition: NativeDefinition = {
    ...common,
    kind,
    port: text(top, "port"),
    flash: {
      address: number(flash, "address"),
      bytes: number(flash, "bytes"),
      base: area(object(flash, "base")),
      metadata: list(flash, "metadata").map(area),
      journal: area(object(flash, "journal")),
      slots: list(flash, "slots").map((slot) => ({ ...area(slot), name: text(slot, "name") })),
      storage: area(object(flash, "storage")),
    },
    ram: {
      address: number(ram, "address"),
      bytes: number(ram, "bytes"),
      base: area(object(ram, "base")),
      app: area(object(ram, "app")),
    },
    stackBytes: number(top, "stackBytes"),
    stackReserveBytes: number(top, "stackReserveBytes"),
    linkInBytes: number(top, "linkInBytes"),
    linkOutBytes: number(top, "linkOutBytes"),
    uf2Family: number(top, "uf2Family"),
    uf2BoardId: text(top, "uf2BoardId"),
  };
  const { base, metadata, journal, slots, storage } = definition.flash;
  const inFlash = [base, ...metadata, journal, ...slots, storage];
  if (inFlash.some(({ offset, bytes }) => offset % SECTOR !== 0 || bytes % SECTOR !== 0 || bytes === 0))
    throw wrong(`flash areas begin and end at multiples of ${SECTOR}`);
  if (overlap(inFlash, definition.flash.bytes)) throw wrong("flash areas overlap, or leave the flash");
  if (overlap([definition.ram.base, definition.ram.app], definition.ram.bytes))
    throw wrong("RAM areas overlap, or leave the RAM");
  if (journal.bytes < 2 * SECTOR) throw wrong("a journal takes two sectors at least");
  if (definition.stackReserveBytes >= definition.stackBytes)
    throw wrong("nothing of the stack is left to the app");
  return definition;
}

function overlap(areas: readonly Area[], bytes: number): boolean {
  const sorted = [...areas].sort((a, b) => a.offset - b.offset);
  return sorted.some((area, index) => area.offset + area.bytes > (sorted[index + 1]?.offset ?? bytes));
}
