/** Addresses as people write them: 127.0.0.1:7101, [::1]:7101. */
import { TardigradeError } from "../../protocols/error.ts";
import type { PeerAddress } from "./transport/peer-transport.ts";

/** Throws ARGUMENT. */
export function parseAddress(address: string): PeerAddress {
  const colon = address.lastIndexOf(":");
  const host = address.slice(0, colon).replace(/^\[(.*)\]$/, "$1");
  const port = Number(address.slice(colon + 1));
  if (colon < 1 || !Number.isInteger(port) || port < 1 || port > 65_535)
    throw new TardigradeError("ARGUMENT", `"${address}" is no address; write it as 127.0.0.1:7101.`);
  return { host, port };
}
