/** Wires who may use a gateway: the file of users, tokens and devices, the limiters of the core, the audit log, TLS. */
import { readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { TardigradeError } from "../../protocols/error.ts";
import type { Core } from "../core/core.ts";
import { createRateLimit } from "../core/policy/rate-limit.ts";
import { AccessControl } from "../gateway/access/access-control.ts";
import { EMPTY_ACCESS, parseAccess } from "../gateway/access/access-file.ts";
import { Audit } from "../gateway/access/audit.ts";
import { KeyedLimiter } from "../gateway/access/keyed-limiter.ts";
import { readText, watchedFile } from "../io/access-store.ts";
import { auditFile } from "../io/audit-file.ts";
import type { Clock, Logger, Secrets } from "../io/seams.ts";
import { systemSecrets } from "../io/secrets.ts";
import type { ServerTls } from "../io/tls.ts";
import type { Known } from "./config.ts";

/** Failures that may come at once, and how often one more is forgiven. */
const FAILURES = { limit: 6, periodMs: 60_000, burst: 5 } as const;
const ADDRESS_FAILURES = { limit: 30, periodMs: 60_000, burst: 30 } as const;

export interface AccessParts {
  readonly access: AccessControl;
  readonly audit: Audit;
  readonly secrets: Secrets;
  readonly requests: KeyedLimiter;
}

export function accessPath(data: string): string {
  return join(resolve(data), "access.json");
}

/** Throws ACCESS_INVALID, FILE_UNREADABLE. */
export function knownIn(data: string): Known {
  const path = accessPath(data);
  const text = readText(path);
  const { users, tokens, devices } = text === undefined ? EMPTY_ACCESS : parseAccess(text, path);
  return { people: users.length + tokens.length > 0, clients: users.length + devices.length > 0 };
}

/** Throws ACCESS_INVALID, FILE_UNREADABLE. */
export function openAccess(options: {
  readonly data: string;
  readonly core: Core;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly requestsPerSecond: number;
}): AccessParts {
  const { data, core, clock, logger, requestsPerSecond } = options;
  const path = accessPath(data);
  const limiter = (rate: { readonly limit: number; readonly periodMs?: number; readonly burst: number }) =>
    new KeyedLimiter(() => createRateLimit({ core, clock }, rate));
  const secrets = systemSecrets();
  const access = new AccessControl({
    access: watchedFile({
      path,
      parse: (text) => (text === undefined ? EMPTY_ACCESS : parseAccess(text, path)),
      clock,
      logger,
    }),
    secrets,
    nowMs: () => clock.wallMs(),
    failures: limiter(FAILURES),
    addressFailures: limiter(ADDRESS_FAILURES),
  });
  const audit = new Audit({ clock, write: auditFile(join(resolve(data), "audit.log"), logger) });
  const requests = limiter({ limit: requestsPerSecond, burst: 2 * requestsPerSecond });
  return { access, audit, secrets, requests };
}

export interface TlsConfig {
  readonly cert: string;
  readonly key: string;
  readonly ca?: string;
  readonly clientCertificates: "optional" | "required";
}

/** Reads the PEM files. Throws FILE_UNREADABLE. */
export function tlsOf(tls: TlsConfig | undefined): { readonly tls: ServerTls } | Record<string, never> {
  if (tls === undefined) return {};
  const read = (path: string): Buffer => {
    try {
      return readFileSync(path);
    } catch (cause) {
      throw new TardigradeError("FILE_UNREADABLE", `${path} cannot be read: ${(cause as Error).message}`, {
        cause,
      });
    }
  };
  const { cert, key, ca, clientCertificates } = tls;
  return {
    tls: {
      cert: read(cert),
      key: read(key),
      ...(ca === undefined ? {} : { ca: read(ca) }),
      clientCertificateRequired: clientCertificates === "required",
    },
  };
}
