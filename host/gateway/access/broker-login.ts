/**
 * Who an MQTT client is. A device logs in with its id as user name and its secret as password, or with a certificate of that common
 * name; a person with name and password, or a token as password; everybody with the one password of `mqtt.username`, as
 * operator that may also be a device. Where nobody is known nobody is asked, which a gateway beyond loopback refuses to be.
 */
import type { ErrorCode } from "../../../protocols/table.ts";
import type { BrokerLogin } from "../../io/seams.ts";
import type { AccessControl } from "./access-control.ts";
import { ANONYMOUS, type Principal } from "./principal.ts";

export interface BrokerLoginOptions {
  readonly access: AccessControl;
  /** `mqtt.username` and its password. */
  readonly shared?: { readonly username: string; readonly isPassword: (given: string) => boolean };
  /** Somebody has to be known, even if the file is empty. */
  readonly required: boolean;
}

export function brokerLogin(
  options: BrokerLoginOptions,
): (login: BrokerLogin) => Promise<Principal | ErrorCode> {
  const { access, shared, required } = options;
  return async (login) => {
    const who = await identify(login, options);
    if (who === undefined) {
      const open = !required && shared === undefined && !access.hasClients;
      return open && login.username === undefined ? ANONYMOUS : "UNAUTHORIZED";
    }
    return fitsClientId(who, login.clientId, access) ? who : "TOPIC_FOREIGN";
  };
}

async function identify(
  { username, password, commonName, address }: BrokerLogin,
  { access, shared }: BrokerLoginOptions,
): Promise<Principal | undefined> {
  if (commonName !== undefined) {
    const certified = access.byCertificate(commonName);
    if (certified !== undefined) return certified;
  }
  if (username === undefined || password === undefined) return undefined;
  if (shared !== undefined && username === shared.username) {
    return shared.isPassword(password) ? ANONYMOUS : undefined;
  }
  if (access.isDevice(username)) return access.byDeviceSecret(username, password, { address });
  if (password.startsWith("tardi_")) return access.byToken(password, { address });
  return access.byPassword(username, password, { address });
}

/**
 * A broker ends the older of two connections with one client id, so nobody may take a device's. A device that speaks our protocol
 * has its own id; one with topics of its own (a plug whose firmware chooses) any that is no other's.
 */
function fitsClientId(who: Principal, clientId: string, access: AccessControl): boolean {
  if (who.kind === "anonymous") return true;
  if (who.kind === "user") return !access.isDevice(clientId);
  if (clientId === who.device) return true;
  return who.topics.length > 0 && !access.isDevice(clientId) && !clientId.startsWith("tardi");
}
