/**
 * `tardi user|token|device add|list|revoke`: they change the file in the data folder, which a running gateway reads again within half
 * a second. A secret is printed when it is made and never again.
 */
import { writeFileSync } from "node:fs";
import { TardigradeError } from "../../protocols/error.ts";
import {
  type AccessFile,
  EMPTY_ACCESS,
  parseAccess,
  ROLES,
  type Role,
  serializeAccess,
  withDevice,
  without,
  withToken,
  withUser,
} from "../gateway/access/access-file.ts";
import { aclFile, passwordFile } from "../gateway/acl.ts";
import { changeText, readText } from "../io/access-store.ts";
import { auditFile } from "../io/audit-file.ts";
import { systemClock } from "../io/clock.ts";
import type { Logger } from "../io/seams.ts";
import { systemSecrets } from "../io/secrets.ts";
import { accessPath } from "./access-setup.ts";
import { age, note, print, printJson, table } from "./output.ts";

const DAY_MS = 86_400_000;
const PASSWORD_CHARS_MIN = 12;
const OWNER_ONLY = 0o600;

export interface AccessOptions {
  /** Data folder of the gateway. */
  readonly data: string;
  readonly json?: boolean;
}

type Change = (access: AccessFile) => AccessFile;

async function change(options: AccessOptions, action: string, target: string, edit: Change): Promise<void> {
  const path = accessPath(options.data);
  await changeText(path, async (text) => {
    const access = text === undefined ? EMPTY_ACCESS : parseAccess(text, path);
    return { text: serializeAccess(edit(access)), result: undefined };
  });
  const logger: Logger = { debug: ignore, info: ignore, warn: ignore, error: (message) => note(message) };
  const who = process.env.USER ?? process.env.LOGNAME ?? "somebody";
  const entry = { timeMs: systemClock().wallMs(), who, via: "cli", action, target, outcome: "ok" };
  auditFile(path.replace(/access\.json$/, "audit.log"), logger)(entry);
}

function ignore(): void {}

function roleNamed(name: string): Role {
  const role = ROLES.find((known) => known === name);
  if (role !== undefined) return role;
  throw new TardigradeError("REQUEST_INVALID", `"${name.slice(0, 20)}" is no role: use ${ROLES.join(", ")}.`);
}

export async function userAdd(
  name: string,
  options: AccessOptions & { readonly role: string; readonly passwordStdin?: boolean },
): Promise<void> {
  const secrets = systemSecrets();
  const chosen = options.passwordStdin ? await firstLine() : undefined;
  if (chosen !== undefined && chosen.length < PASSWORD_CHARS_MIN) {
    throw new TardigradeError("REQUEST_INVALID", `A password has at least ${PASSWORD_CHARS_MIN} characters.`);
  }
  const generated = chosen === undefined ? secrets.secret() : undefined;
  const password = await secrets.hashPassword(chosen ?? (generated as string));
  const role = roleNamed(options.role);
  const mosquitto = generated === undefined ? {} : { mosquitto: secrets.mosquittoHash(generated) };
  const user = { name, role, password, ...mosquitto, createdMs: systemClock().wallMs() };
  await change(options, "user add", `${name} ${role}`, (access) => withUser(access, user));
  if (options.json)
    return printJson({ name, role, ...(generated === undefined ? {} : { password: generated }) });
  print(`User ${name} is ${role}.`);
  if (generated !== undefined) print(`Password, shown this once: ${generated}`);
}

export async function tokenAdd(
  name: string,
  options: AccessOptions & { readonly role: string; readonly days?: number },
): Promise<void> {
  const secrets = systemSecrets();
  const secret = secrets.secret();
  const id = secrets.id();
  const role = roleNamed(options.role);
  const createdMs = systemClock().wallMs();
  const expires = options.days === undefined ? {} : { expiresMs: createdMs + options.days * DAY_MS };
  const token = { id, name, role, hash: secrets.hash(secret), createdMs, ...expires };
  await change(options, "token add", `${id} ${name} ${role}`, (access) => withToken(access, token));
  const text = `tardi_${id}_${secret}`;
  if (options.json) return printJson({ id, name, role, token: text, ...expires });
  print(`Token ${id} (${name}) is ${role}${options.days === undefined ? "" : ` for ${options.days} days`}.`);
  print(`Shown this once: ${text}`);
}

export async function deviceAdd(
  id: string,
  options: AccessOptions & { readonly topic?: readonly string[] },
): Promise<void> {
  const secrets = systemSecrets();
  const secret = secrets.secret();
  const device = {
    id,
    hash: secrets.hash(secret),
    mosquitto: secrets.mosquittoHash(secret),
    topics: options.topic ?? [],
    createdMs: systemClock().wallMs(),
  };
  await change(options, "device add", id, (access) => withDevice(access, device));
  if (options.json) return printJson({ id, username: id, password: secret });
  print(`Device ${id} logs in to MQTT with user name ${id}.`);
  print(`Password, shown this once: ${secret}`);
}

export async function revoke(
  what: "user" | "token" | "device",
  name: string,
  options: AccessOptions,
): Promise<void> {
  await change(options, `${what} revoke`, name, (access) => without(access, what, name));
  if (options.json) return printJson({ revoked: name });
  print(`The ${what} ${name} is revoked; a running gateway knows within a second.`);
}

export function list(what: "user" | "token" | "device", options: AccessOptions): void {
  const access = read(options);
  const nowMs = systemClock().wallMs();
  const since = (ms: number) => `${age(nowMs - ms)} ago`;
  const left = (ms: number | undefined): string =>
    ms === undefined ? "never" : ms <= nowMs ? "expired" : `in ${age(ms - nowMs)}`;
  const rows = {
    user: () => access.users.map(({ name, role, createdMs }) => ({ name, role, created: since(createdMs) })),
    token: () =>
      access.tokens.map(({ id, name, role, createdMs, expiresMs }) => ({
        id,
        name,
        role,
        created: since(createdMs),
        expires: left(expiresMs),
      })),
    device: () =>
      access.devices.map(({ id, topics, createdMs }) => ({
        id,
        topics: topics.join(" "),
        created: since(createdMs),
      })),
  }[what]();
  if (options.json) return printJson(rows);
  const first = rows[0];
  if (first === undefined) return print(`There is no ${what}. Add one with \`tardi ${what} add\`.`);
  print(
    table(
      Object.keys(first),
      rows.map((row) => Object.values(row)),
    ),
  );
}

/** The files that make mosquitto enforce the same rules. */
export function mosquittoFiles(
  options: AccessOptions & {
    readonly site: string;
    readonly acl: string;
    readonly passwords?: string;
    readonly gateway: string;
  },
): void {
  const access = read(options);
  writeFileSync(options.acl, aclFile(options.site, { gateway: options.gateway }, access), {
    mode: OWNER_ONLY,
  });
  if (options.passwords !== undefined) {
    writeFileSync(options.passwords, passwordFile(access), { mode: OWNER_ONLY });
  }
  if (options.json) return printJson({ acl: options.acl, passwords: options.passwords });
  print(`Written: ${[options.acl, options.passwords].filter((path) => path !== undefined).join(", ")}.`);
  print(
    `In mosquitto.conf: allow_anonymous false, acl_file, password_file; then add the gateway's own password with`,
  );
  print(`mosquitto_passwd for the user ${options.gateway}, and reload mosquitto (SIGHUP) after each change.`);
}

function read(options: AccessOptions): AccessFile {
  const path = accessPath(options.data);
  const text = readText(path);
  return text === undefined ? EMPTY_ACCESS : parseAccess(text, path);
}

async function firstLine(): Promise<string> {
  let text = "";
  for await (const chunk of process.stdin) {
    text += String(chunk);
    if (text.includes("\n") || text.length > 1024) break;
  }
  return text.split(/\r?\n/, 1)[0] ?? "";
}
