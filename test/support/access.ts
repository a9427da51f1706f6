/** Access control for tests: real hashes, counted; the core's limiters on the test's clock; an audit that is kept. */
import { openCore } from "../../host/core/core.ts";
import { readCoreBytes } from "../../host/core/core-bytes.ts";
import { createRateLimit } from "../../host/core/policy/rate-limit.ts";
import { AccessControl } from "../../host/gateway/access/access-control.ts";
import { type AccessFile, EMPTY_ACCESS } from "../../host/gateway/access/access-file.ts";
import { Audit, type AuditEntry } from "../../host/gateway/access/audit.ts";
import { KeyedLimiter } from "../../host/gateway/access/keyed-limiter.ts";
import type { Clock, Secrets } from "../../host/io/seams.ts";
import { systemSecrets } from "../../host/io/secrets.ts";

export interface TestPeople {
  access: AccessFile;
  readonly requestsPerSecond?: number;
}

export interface HashCounts {
  passwords: number;
  secrets: number;
}

export interface TestAccess {
  readonly access: AccessControl;
  readonly audit: Audit;
  readonly secrets: Secrets;
  readonly requests: KeyedLimiter;
  readonly hashes: HashCounts;
  readonly written: AuditEntry[];
}

export function testAccess(clock: Clock, people: TestPeople = { access: EMPTY_ACCESS }): TestAccess {
  const core = openCore(readCoreBytes());
  const limiter = (limit: number, periodMs: number, burst: number) =>
    new KeyedLimiter(() => createRateLimit({ core, clock }, { limit, periodMs, burst }));
  const hashes: HashCounts = { passwords: 0, secrets: 0 };
  const secrets = countingSecrets(hashes);
  const written: AuditEntry[] = [];
  const rate = people.requestsPerSecond ?? 1000;
  return {
    access: new AccessControl({
      access: () => people.access,
      secrets,
      nowMs: () => clock.wallMs(),
      failures: limiter(6, 60_000, 5),
      addressFailures: limiter(30, 60_000, 30),
    }),
    audit: new Audit({ clock, write: (entry) => written.push(entry) }),
    secrets,
    requests: limiter(rate, 1000, 2 * rate),
    hashes,
    written,
  };
}

function countingSecrets(hashes: HashCounts): Secrets {
  const real = systemSecrets();
  return {
    ...real,
    matches: (secret, hash) => {
      hashes.secrets += 1;
      return real.matches(secret, hash);
    },
    verifyPassword: (password, known) => {
      hashes.passwords += 1;
      return real.verifyPassword(password, known);
    },
  };
}

/** A file with one of each, and their secrets. */
export async function somePeople() {
  const secrets = systemSecrets();
  const token = (id: string, role: "viewer" | "operator" | "admin", expiresMs?: number) => {
    const secret = secrets.secret();
    const expires = expiresMs === undefined ? {} : { expiresMs };
    return {
      text: `tardi_${id}_${secret}`,
      row: { id, name: `${role}-token`, role, hash: secrets.hash(secret), createdMs: 0, ...expires },
    };
  };
  const device = (id: string, topics: readonly string[] = []) => {
    const secret = secrets.secret();
    return {
      secret,
      row: { id, hash: secrets.hash(secret), mosquitto: secrets.mosquittoHash(secret), topics, createdMs: 0 },
    };
  };
  const viewer = token("aaaaaaaa", "viewer");
  const operator = token("bbbbbbbb", "operator");
  const admin = token("cccccccc", "admin");
  const expired = token("dddddddd", "admin", 1);
  const pot = device("pot");
  const plug = device("plug", ["tele/plug/#", "stat/plug/#", "cmnd/plug/#"]);
  const password = "correct horse battery";
  const watcher = secrets.secret();
  const access: AccessFile = {
    version: 1,
    users: [
      { name: "ana", role: "operator", password: await secrets.hashPassword(password), createdMs: 0 },
      {
        name: "vera",
        role: "viewer",
        password: await secrets.hashPassword(watcher),
        mosquitto: secrets.mosquittoHash(watcher),
        createdMs: 0,
      },
    ],
    tokens: [viewer.row, operator.row, admin.row, expired.row],
    devices: [pot.row, plug.row],
  };
  const tokens = { viewer: viewer.text, operator: operator.text, admin: admin.text, expired: expired.text };
  return { access, tokens, password, watcher, devices: { pot: pot.secret, plug: plug.secret } };
}
