/** Hashes and random secrets by the machine's OpenSSL. */
import { createHash, pbkdf2Sync, randomBytes, scrypt, timingSafeEqual } from "node:crypto";
import type { Secrets } from "./seams.ts";

/** OWASP's scrypt parameters of 16 MB; log-ins are rare and two run at once. */
const COST = { n: 16_384, r: 8, p: 1 } as const;
const HASH_BYTES = 32;
const SALT_BYTES = 16;
const SECRET_BYTES = 32;
const SCRYPT_BYTES_MAX = 512 * 1024 * 1024;
/** What mosquitto_passwd 2.0 uses. */
const MOSQUITTO_ROUNDS = 101;
const MOSQUITTO_SALT_BYTES = 12;
const MOSQUITTO_HASH_BYTES = 64;

export function systemSecrets(): Secrets {
  return {
    secret: () => randomBytes(SECRET_BYTES).toString("base64url"),
    id: () => randomBytes(4).toString("hex"),
    hash: sha256,
    matches: (secret, hash) => equal(Buffer.from(sha256(secret), "hex"), Buffer.from(hash, "hex")),
    hashPassword: async (password) => {
      const salt = randomBytes(SALT_BYTES);
      const hash = await derive(password, { salt, ...COST });
      return { salt: salt.toString("hex"), hash: hash.toString("hex"), ...COST };
    },
    verifyPassword: async (password, known) => {
      const { n, r, p } = known;
      return equal(
        await derive(password, { salt: Buffer.from(known.salt, "hex"), n, r, p }),
        Buffer.from(known.hash, "hex"),
      );
    },
    mosquittoHash: (secret) => {
      const salt = randomBytes(MOSQUITTO_SALT_BYTES);
      const hash = pbkdf2Sync(secret, salt, MOSQUITTO_ROUNDS, MOSQUITTO_HASH_BYTES, "sha512");
      return `$7$${MOSQUITTO_ROUNDS}$${salt.toString("base64")}$${hash.toString("base64")}`;
    },
  };
}

function sha256(text: string): string {
  return createHash("sha256").update(text, "utf8").digest("hex");
}

function equal(a: Buffer, b: Buffer): boolean {
  return a.length === b.length && timingSafeEqual(a, b);
}

function derive(
  password: string,
  { salt, n, r, p }: { readonly salt: Buffer; readonly n: number; readonly r: number; readonly p: number },
): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    scrypt(password, salt, HASH_BYTES, { N: n, r, p, maxmem: SCRYPT_BYTES_MAX }, (error, hash) =>
      error === null ? resolve(hash) : reject(error),
    );
  });
}
