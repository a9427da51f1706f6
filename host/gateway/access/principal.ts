/** Who asks, once it is known: what HTTP, the broker's rules and the audit log go by. */
import { TardigradeError } from "../../../protocols/error.ts";
import { ROLES, type Role } from "./access-file.ts";

export type Principal =
  /** Nobody has to say who they are: an open gateway, on loopback only. May do everything but speak for another device. */
  | { readonly kind: "anonymous" }
  /** A person or a program with a role. */
  | { readonly kind: "user"; readonly name: string; readonly role: Role }
  | { readonly kind: "device"; readonly device: string; readonly topics: readonly string[] };

export const ANONYMOUS: Principal = { kind: "anonymous" };

/** In logs and in the audit. */
export function nameOf(principal: Principal): string {
  switch (principal.kind) {
    case "anonymous":
      return "anonymous";
    case "user":
      return principal.name;
    case "device":
      return `device ${principal.device}`;
  }
}

export function roleOf(principal: Principal): Role | undefined {
  if (principal.kind === "anonymous") return "admin";
  return principal.kind === "user" ? principal.role : undefined;
}

export function mayAs(principal: Principal, needed: Role): boolean {
  const role = roleOf(principal);
  return role !== undefined && ROLES.indexOf(role) >= ROLES.indexOf(needed);
}

/** Throws FORBIDDEN. */
export function requireRole(principal: Principal, needed: Role, what: string): void {
  if (mayAs(principal, needed)) return;
  const is = roleOf(principal) ?? "a device";
  throw new TardigradeError(
    "FORBIDDEN",
    `${what} needs the role ${needed}; ${nameOf(principal)} is ${is}. An admin can give it: tardi user --help.`,
    { context: { component: "access", who: nameOf(principal) } },
  );
}
