/**
 * Who may use a gateway: users, tokens and devices, as one JSON file in the data folder. Pure: text in, value out; each change
 * gives a new value. Nothing in it opens anything: passwords are there as scrypt, secrets of 256 random bits as SHA-256
 * (there is nothing to guess, so a slow hash would only help who floods us), and, for mosquitto, as its own salted hash.
 */
import { TardigradeError } from "../../../protocols/error.ts";
import { isDeviceId } from "../../../protocols/topic.ts";
import type { HashedPassword } from "../../io/seams.ts";

export const ROLES = ["viewer", "operator", "admin"] as const;
/** viewer reads, operator also commands and changes shadows, admin also sees who did what. */
export type Role = (typeof ROLES)[number];

export const USERS_MAX = 1000;
export const TOKENS_MAX = 1000;
export const DEVICES_MAX = 100_000;
/** Topics of a device that does not speak our protocol. */
export const DEVICE_TOPICS_MAX = 8;
const NAME = /^[a-z0-9][a-z0-9._-]{0,30}$/;

export interface User {
  readonly name: string;
  readonly role: Role;
  readonly password?: HashedPassword;
  /** As mosquitto_passwd writes it; of generated passwords only, for its few rounds protect no chosen one. */
  readonly mosquitto?: string;
  readonly createdMs: number;
}

export interface Token {
  /** Public part, by which it is found and revoked. */
  readonly id: string;
  readonly name: string;
  readonly role: Role;
  /** SHA-256 of the secret part, hexadecimal. */
  readonly hash: string;
  readonly createdMs: number;
  readonly expiresMs?: number;
}

export interface DeviceCredential {
  readonly id: string;
  readonly hash: string;
  readonly mosquitto: string;
  /** Filters it may publish and subscribe besides its own topics: a Tasmota plug's `tele/plug/#` and two more. */
  readonly topics: readonly string[];
  readonly createdMs: number;
}

export interface AccessFile {
  readonly version: 1;
  readonly users: readonly User[];
  readonly tokens: readonly Token[];
  readonly devices: readonly DeviceCredential[];
}

export const EMPTY_ACCESS: AccessFile = { version: 1, users: [], tokens: [], devices: [] };

/** Throws ACCESS_INVALID: a file that is wrong anywhere lets nobody in. */
export function parseAccess(text: string, path: string): AccessFile {
  const invalid = (what: string, cause?: unknown): never => {
    throw new TardigradeError("ACCESS_INVALID", `${path} ${what}; restore it from a backup or remove it.`, {
      cause,
      context: { component: "access", file: path },
    });
  };
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    return invalid("is no JSON", cause);
  }
  const file = value as Partial<Record<keyof AccessFile, unknown>> | null;
  if (typeof file !== "object" || file === null || file.version !== 1) return invalid("has no version 1");
  const list = <T>(name: "users" | "tokens" | "devices", max: number, isOne: (it: T) => boolean): T[] => {
    const found = file[name];
    if (!Array.isArray(found) || found.length > max || !found.every((it) => isObject(it) && isOne(it as T)))
      return invalid(`has a wrong list of ${name}`);
    return found as T[];
  };
  return {
    version: 1,
    users: list<User>("users", USERS_MAX, isUser),
    tokens: list<Token>("tokens", TOKENS_MAX, isToken),
    devices: list<DeviceCredential>("devices", DEVICES_MAX, isDevice),
  };
}

export function serializeAccess(access: AccessFile): string {
  return `${JSON.stringify(access, null, 2)}\n`;
}

/** Throws REQUEST_INVALID when the name is taken or is none. */
export function withUser(access: AccessFile, user: User): AccessFile {
  if (!NAME.test(user.name))
    throw refused(`"${user.name.slice(0, 40)}" is no name: use a-z, 0-9, ., _ and -`);
  if (access.users.some(({ name }) => name === user.name)) {
    throw refused(`there is a user ${user.name} already; revoke it first`);
  }
  if (access.devices.some(({ id }) => id === user.name)) throw refused(`${user.name} is a device`);
  if (access.users.length >= USERS_MAX) throw refused(`there are ${USERS_MAX} users already`);
  return { ...access, users: [...access.users, user] };
}

export function withToken(access: AccessFile, token: Token): AccessFile {
  if (!NAME.test(token.name))
    throw refused(`"${token.name.slice(0, 40)}" is no name: use a-z, 0-9, ., _ and -`);
  if (access.tokens.length >= TOKENS_MAX)
    throw refused(`there are ${TOKENS_MAX} tokens already; revoke some`);
  return { ...access, tokens: [...access.tokens, token] };
}

export function withDevice(access: AccessFile, device: DeviceCredential): AccessFile {
  if (!isDeviceId(device.id)) throw refused(`"${device.id.slice(0, 40)}" is no device id`);
  if (access.devices.some(({ id }) => id === device.id)) {
    throw refused(`there is a device ${device.id} already; revoke it first`);
  }
  if (access.users.some(({ name }) => name === device.id)) throw refused(`${device.id} is a user`);
  if (access.devices.length >= DEVICES_MAX) throw refused(`there are ${DEVICES_MAX} devices already`);
  const wrong = device.topics.find((filter) => !isSafeFilter(filter));
  if (wrong !== undefined || device.topics.length > DEVICE_TOPICS_MAX) {
    throw refused(
      `"${wrong ?? device.topics.length}" cannot be a device's topic: give at most ${DEVICE_TOPICS_MAX} filters such as ` +
        "tele/plug/#, whose first two levels are fixed and none of tardi/, homeassistant/ or $",
    );
  }
  return { ...access, devices: [...access.devices, device] };
}

/** Throws NOT_FOUND. A token is named by its id. */
export function without(access: AccessFile, what: "user" | "token" | "device", name: string): AccessFile {
  const keep = <T>(list: readonly T[], isIt: (it: T) => boolean): T[] => {
    const kept = list.filter((it) => !isIt(it));
    if (kept.length === list.length) {
      throw new TardigradeError(
        "NOT_FOUND",
        `There is no ${what} ${name.slice(0, 40)}; see \`tardi ${what} list\`.`,
      );
    }
    return kept;
  };
  switch (what) {
    case "user":
      return { ...access, users: keep(access.users, (user) => user.name === name) };
    case "token":
      return { ...access, tokens: keep(access.tokens, (token) => token.id === name) };
    case "device":
      return { ...access, devices: keep(access.devices, (device) => device.id === name) };
  }
}

/** A filter that cannot reach the gateway's own topics, nor everybody's: its first level is fixed and is none of ours. */
export function isSafeFilter(filter: string): boolean {
  if (filter.length > 128 || !/^[!-~]+$/.test(filter)) return false;
  const levels = filter.split("/");
  const [first, second] = levels as [string, string | undefined];
  if (/[#+]/.test(first) || ["", "tardi", "homeassistant"].includes(first) || first.startsWith("$"))
    return false;
  const wild = levels.map((level, at) => /[#+]/.test(level) && !isWildcard(level, at === levels.length - 1));
  // Its second level too: `tele/#` is every plug's.
  return !wild.includes(true) && second !== undefined && second !== "" && !/[#+]/.test(second);
}

function isWildcard(level: string, last: boolean): boolean {
  return level === "+" || (level === "#" && last);
}

function refused(what: string): TardigradeError {
  return new TardigradeError("REQUEST_INVALID", `Nothing was changed: ${what}.`, {
    context: { component: "access" },
  });
}

const isObject = (value: unknown): boolean => typeof value === "object" && value !== null;
const isText = (value: unknown): boolean =>
  typeof value === "string" && value.length > 0 && value.length <= 512;
const isHex = (value: unknown): boolean =>
  typeof value === "string" && /^(?:[0-9a-f]{2}){8,128}$/.test(value);
const isCount = (value: unknown): boolean => Number.isSafeInteger(value) && (value as number) > 0;
const isRole = (value: unknown): boolean => (ROLES as readonly unknown[]).includes(value);

function isUser(user: User): boolean {
  const { name, role, password, mosquitto, createdMs } = user;
  const hashed =
    password === undefined ||
    (isObject(password) && isHex(password.salt) && isHex(password.hash) && isScryptCost(password));
  return (
    typeof name === "string" &&
    NAME.test(name) &&
    isRole(role) &&
    hashed &&
    (mosquitto === undefined || isText(mosquitto)) &&
    Number.isFinite(createdMs)
  );
}

/** A file that asks for gigabytes is no file of ours. */
function isScryptCost({ n, r, p }: HashedPassword): boolean {
  return isCount(n) && n <= 1 << 17 && isCount(r) && r <= 16 && isCount(p) && p <= 4;
}

function isToken({ id, name, role, hash, createdMs, expiresMs }: Token): boolean {
  const expires = expiresMs === undefined || Number.isFinite(expiresMs);
  return (
    /^[0-9a-f]{8}$/.test(String(id)) &&
    isText(name) &&
    isRole(role) &&
    isHex(hash) &&
    expires &&
    createdMs >= 0
  );
}

function isDevice({ id, hash, mosquitto, topics, createdMs }: DeviceCredential): boolean {
  return (
    isDeviceId(String(id)) &&
    isHex(hash) &&
    isText(mosquitto) &&
    Array.isArray(topics) &&
    topics.every((filter) => typeof filter === "string" && isSafeFilter(filter)) &&
    createdMs >= 0
  );
}
