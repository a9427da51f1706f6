/**
 * Tells who somebody is, from a token, a name and a password, or a certificate's name. Guessing is made slow before it is made
 * expensive: who has failed too often is refused by a token bucket of the core before anything is hashed, so that a flood of
 * guesses costs neither scrypt's memory nor its time.
 *
 *   token: unknown id --> refused, nothing hashed.    known id --> bucket of (address, id) --> SHA-256
 *   password: bucket of the address, bucket of (address, name) --> one of HASHING_MAX places --> scrypt
 *
 * An unknown name is hashed like a known one, within the same bounds: the time it takes does not tell which names there are.
 */
import { TardigradeError } from "../../../protocols/error.ts";
import type { HashedPassword, Secrets } from "../../io/seams.ts";
import type { AccessFile } from "./access-file.ts";
import type { KeyedLimiter } from "./keyed-limiter.ts";
import type { Principal } from "./principal.ts";

/** scrypt runs at once: each takes 16 MB. */
export const HASHING_MAX = 2;
/** Waiting for their turn; beyond it log-ins are refused. */
export const WAITING_MAX = 16;
const SECRET_CHARS_MAX = 512;
const NAME_CHARS_MAX = 64;
const TOKEN = /^tardi_([0-9a-f]{8})_([A-Za-z0-9_-]{43})$/;

/** Stands for a name that nobody has. The cost is that of Secrets.hashPassword. */
const NOBODY: HashedPassword = { salt: "00".repeat(16), hash: "00".repeat(32), n: 16_384, r: 8, p: 1 };

export interface AccessControlOptions {
  /** As it is now; read anew for each question, so that a revocation counts at once. */
  readonly access: () => AccessFile;
  readonly secrets: Secrets;
  readonly nowMs: () => number;
  /** Of failures, by (address, name or token id). */
  readonly failures: KeyedLimiter;
  /** Of failures with passwords, by address. */
  readonly addressFailures: KeyedLimiter;
}

export interface Attempt {
  /** Remote address, for the limiter. */
  readonly address: string;
}

export class AccessControl {
  readonly #options: AccessControlOptions;
  #hashing = 0;
  readonly #waiting: (() => void)[] = [];

  constructor(options: AccessControlOptions) {
    this.#options = options;
  }

  /** Whether HTTP has anybody to ask for; an empty file asks nobody. */
  get hasPeople(): boolean {
    const { users, tokens } = this.#options.access();
    return users.length + tokens.length > 0;
  }
  get hasClients(): boolean {
    const { users, devices } = this.#options.access();
    return users.length + devices.length > 0;
  }

  /** Undefined when it is none. Throws RATE_LIMITED. */
  byToken(text: string, { address }: Attempt): Principal | undefined {
    const { access, secrets, nowMs, failures } = this.#options;
    const [, id, secret] = TOKEN.exec(text) ?? [];
    if (id === undefined || secret === undefined) return undefined;
    const token = access().tokens.find((known) => known.id === id);
    if (token === undefined) return undefined;
    const key = `${address} token ${id}`;
    requireRoom(failures, key);
    if (!secrets.matches(secret, token.hash)) {
      failures.take(key);
      return undefined;
    }
    if (token.expiresMs !== undefined && nowMs() >= token.expiresMs) return undefined;
    return { kind: "user", name: token.name, role: token.role };
  }

  /** Undefined when name or password are wrong. Rejects with RATE_LIMITED. */
  async byPassword(name: string, password: string, { address }: Attempt): Promise<Principal | undefined> {
    if (name.length > NAME_CHARS_MAX || password.length > SECRET_CHARS_MAX) return undefined;
    const { access, secrets, failures, addressFailures } = this.#options;
    const key = `${address} user ${name}`;
    requireRoom(addressFailures, address);
    requireRoom(failures, key);
    await this.#turn();
    try {
      // Others may have failed while this one waited.
      requireRoom(addressFailures, address);
      requireRoom(failures, key);
      const user = access().users.find((known) => known.name === name);
      const right = await secrets.verifyPassword(password, user?.password ?? NOBODY);
      if (right && user?.password !== undefined) return { kind: "user", name, role: user.role };
      failures.take(key);
      addressFailures.take(address);
      return undefined;
    } finally {
      this.#hashing -= 1;
      this.#waiting.shift()?.();
    }
  }

  /** A device's generated secret: one cheap hash, for two thousand of them may come back at once. Throws RATE_LIMITED. */
  byDeviceSecret(id: string, secret: string, { address }: Attempt): Principal | undefined {
    const { access, secrets, failures } = this.#options;
    const device = access().devices.find((known) => known.id === id);
    if (device === undefined || secret.length > SECRET_CHARS_MAX) return undefined;
    const key = `${address} device ${id}`;
    requireRoom(failures, key);
    if (secrets.matches(secret, device.hash)) return { kind: "device", device: id, topics: device.topics };
    failures.take(key);
    return undefined;
  }

  /** The common name of a certificate that our authority signed. A revoked user's or device's certificate opens nothing. */
  byCertificate(commonName: string): Principal | undefined {
    const { users, devices } = this.#options.access();
    const device = devices.find(({ id }) => id === commonName);
    if (device !== undefined) return { kind: "device", device: device.id, topics: device.topics };
    const user = users.find(({ name }) => name === commonName);
    return user === undefined ? undefined : { kind: "user", name: user.name, role: user.role };
  }

  isDevice(id: string): boolean {
    return this.#options.access().devices.some((device) => device.id === id);
  }

  /** Still somebody, with the role it had: for what outlives a request. */
  isStill(principal: Principal): boolean {
    const { users, tokens, devices } = this.#options.access();
    switch (principal.kind) {
      case "anonymous":
        return true;
      case "device":
        return devices.some(({ id }) => id === principal.device);
      case "user": {
        const nowMs = this.#options.nowMs();
        const valid = tokens.filter(({ expiresMs }) => expiresMs === undefined || nowMs < expiresMs);
        return [...users, ...valid].some(
          ({ name, role }) => name === principal.name && role === principal.role,
        );
      }
    }
  }

  #turn(): Promise<void> | undefined {
    this.#hashing += 1;
    if (this.#hashing <= HASHING_MAX) return undefined;
    if (this.#waiting.length >= WAITING_MAX) {
      this.#hashing -= 1;
      throw new TardigradeError("RATE_LIMITED", "Too many log-ins at once; try again in a few seconds.");
    }
    return new Promise((resolve) => this.#waiting.push(resolve));
  }
}

function requireRoom(limiter: KeyedLimiter, key: string): void {
  const waitMs = limiter.waitMs(key);
  if (waitMs <= 0) return;
  const seconds = Math.ceil(waitMs / 1000);
  throw new TardigradeError("RATE_LIMITED", `Too many failed log-ins; try again in ${seconds} s.`, {
    context: { component: "access", retryAfterMs: waitMs },
  });
}
