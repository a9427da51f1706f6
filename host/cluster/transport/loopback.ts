/** Nodes and their clients do not prove who they are yet: they are served on this machine alone. */
import { TardigradeError } from "../../../protocols/error.ts";

const LOOPBACK = /^(?:localhost|127(?:\.[0-9]{1,3}){3}|::1)$/;

/** Throws PEER_LOOPBACK. */
export function mustBeLoopback(host: string): void {
  if (LOOPBACK.test(host)) return;
  throw new TardigradeError(
    "PEER_LOOPBACK",
    `Nodes cannot listen on ${host} yet: it needs mutual TLS, which comes later. Give 127.0.0.1 or ::1.`,
    { context: { component: "transport", operation: "listen", host } },
  );
}
