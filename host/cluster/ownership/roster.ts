/**
 * Who shares the devices, as it stands in the replicated store. Two kinds of keys, however many devices there are:
 *
 *   <prefix>/roster         {"members":[{"id":"attic","weight":1},{"id":"cellar","weight":2}]}
 *   <prefix>/members/<id>   {"weight":1,"serving":1207,"local":["at-my-port"]}       under the member's lease
 *
 * A roster is known by the store's revision at which it was put, so no two are ever taken for one another. It is changed by compare-and-set whenever the
 * members that live are others than it names. `serving` is the roster that a member has adopted: it serves nothing any more that this one gives to another.
 * `local` are devices that only this member can reach, whatever the roster says.
 */
import { TardigradeError } from "../../../protocols/error.ts";
import type { KvItem } from "../kv/read.ts";

/** Members of one roster. Its record stays within a value of the store. */
export const MEMBERS_MAX = 256;
export const WEIGHT_MAX = 1_000_000;
/** Local devices of a member. */
export const LOCAL_MAX = 256;
const DEVICE_CHARS_MAX = 128;
const ID = /^[a-zA-Z0-9][a-zA-Z0-9._-]{0,62}$/;

export interface Member {
  readonly id: string;
  /** Its share beside the others'. */
  readonly weight: number;
}

export interface Roster {
  /** By id, in order. */
  readonly members: readonly Member[];
  /** Of its record in the store; 0 before the first. */
  readonly revision: number;
}

export interface LiveMember extends Member {
  readonly serving: number;
  readonly local: readonly string[];
  readonly lease: number;
  readonly revision: number;
}

/** All of it at one moment. */
export interface RosterView {
  readonly roster: Roster;
  /** By id, in order. */
  readonly live: readonly LiveMember[];
  /** Of the store. */
  readonly revision: number;
}

const utf8 = new TextEncoder();
const decoder = new TextDecoder();

/** 1 to 63 letters, digits, dots, underscores and dashes, the first a letter or digit. */
export function isMemberId(id: string): boolean {
  return ID.test(id);
}

export function rosterKey(prefix: string): string {
  return `${prefix}/roster`;
}
export function memberKey(prefix: string, id: string): string {
  return `${prefix}/members/${id}`;
}
/** The range of all keys of a prefix. */
export function rosterRange(prefix: string): { readonly from: string; readonly to: string } {
  return { from: `${prefix}/`, to: `${prefix}0` };
}

export function encodeRoster(members: readonly Member[]): Uint8Array {
  return utf8.encode(JSON.stringify({ members: members.map(({ id, weight }) => ({ id, weight })) }));
}
export function encodeMember({
  weight,
  serving,
  local,
}: Pick<LiveMember, "weight" | "serving" | "local">): Uint8Array {
  return utf8.encode(JSON.stringify({ weight, serving, local }));
}

/** Throws FORMAT_VERSION for a record that this version cannot read: who goes on without it might serve what another does. */
export function readRoster(
  prefix: string,
  { items, revision }: { readonly items: readonly KvItem[]; readonly revision: number },
): RosterView {
  let roster: Roster = { members: [], revision: 0 };
  const live: LiveMember[] = [];
  const memberPrefix = memberKey(prefix, "");
  for (const { key, value, modRevision, lease } of items) {
    if (key === rosterKey(prefix)) {
      const members = membersOf(jsonOf(value));
      if (members === undefined) throw unreadable(key);
      roster = { members, revision: modRevision };
    } else if (key.startsWith(memberPrefix)) {
      const member = memberOf(key.slice(memberPrefix.length), jsonOf(value));
      if (member === undefined) throw unreadable(key);
      live.push({ ...member, lease, revision: modRevision });
    }
  }
  return { roster, live: live.sort(byId), revision };
}

/** Members of the roster that names those who live, or undefined when it does already. Where there are too many, those who are named stay. */
export function nextMembers({ roster, live }: RosterView): readonly Member[] | undefined {
  const named = new Set(roster.members.map(({ id }) => id));
  const sorted = [...live].sort((a, b) => Number(named.has(b.id)) - Number(named.has(a.id)));
  const next = sorted.slice(0, MEMBERS_MAX).sort(byId);
  const isSame =
    next.length === roster.members.length &&
    next.every(({ id, weight }, index) => {
      const member = roster.members[index];
      return member?.id === id && member.weight === weight;
    });
  return isSame ? undefined : next;
}

/**
 * Whether the roster holds: everyone who lives has adopted it. Who has no lease any more serves nothing. Who has gone on to a later one does not
 * count, since it may have skipped this.
 */
export function isAdopted({ roster, live }: RosterView): boolean {
  return live.every(({ serving }) => serving === roster.revision);
}

export function isWeight(value: unknown): value is number {
  return typeof value === "number" && value > 0 && value <= WEIGHT_MAX;
}

function membersOf(value: unknown): readonly Member[] | undefined {
  if (!isRecord(value) || !Array.isArray(value.members)) return undefined;
  const members: Member[] = [];
  for (const entry of value.members as unknown[]) {
    if (!isRecord(entry)) return undefined;
    const { id, weight } = entry;
    if (typeof id !== "string" || !isMemberId(id) || !isWeight(weight)) return undefined;
    members.push({ id, weight });
  }
  const isSound =
    members.length <= MEMBERS_MAX && new Set(members.map(({ id }) => id)).size === members.length;
  return isSound ? members.sort(byId) : undefined;
}

function memberOf(
  id: string,
  value: unknown,
): Pick<LiveMember, "id" | "weight" | "serving" | "local"> | undefined {
  if (!isMemberId(id) || !isRecord(value)) return undefined;
  const { weight, serving, local = [] } = value;
  if (!isWeight(weight) || typeof serving !== "number" || !Number.isSafeInteger(serving)) return undefined;
  return isLocal(local) ? { id, weight, serving, local } : undefined;
}

function isLocal(value: unknown): value is readonly string[] {
  const isDevice = (one: unknown): boolean => typeof one === "string" && one.length <= DEVICE_CHARS_MAX;
  return Array.isArray(value) && value.length <= LOCAL_MAX && value.every(isDevice);
}

function unreadable(key: string): TardigradeError {
  return new TardigradeError(
    "FORMAT_VERSION",
    `What stands under ${key} cannot be read; update this program, or delete the key if nothing of yours wrote it.`,
    { context: { component: "ownership", key: key.slice(0, 80) } },
  );
}
function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
function jsonOf(bytes: Uint8Array): unknown {
  try {
    return JSON.parse(decoder.decode(bytes)) as unknown;
  } catch {
    return undefined;
  }
}
function byId(a: { readonly id: string }, b: { readonly id: string }): number {
  return a.id < b.id ? -1 : a.id > b.id ? 1 : 0;
}
