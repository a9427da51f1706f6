/** A gateway's part in a site that several gateways share: its devices are those that the replicated store's roster gives it. */

import type { KvClient } from "../cluster/client/kv-client.ts";
import { openClient } from "../cluster/client/open-client.ts";
import { DeviceOwnership } from "../cluster/ownership/device-ownership.ts";
import { readRoster, rosterRange } from "../cluster/ownership/roster.ts";
import type { Core } from "../core/core.ts";
import type { DeviceShare, OpenShare } from "../gateway/shared-site.ts";
import { systemRandom } from "../io/random.ts";
import type { Clock, Logger, Meter } from "../io/seams.ts";
import type { Config } from "./config.ts";

/** For the store's word on who is left, when the gateway closes. */
const LOOK_MS = 1_000;

/** Before a site's keys in the store. */
export function prefixOf(site: string): string {
  return `sites/${site}`;
}

export interface ShareParts {
  readonly core: Core;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly meter: Meter;
}

export function shareOf(
  site: string,
  cluster: NonNullable<Config["cluster"]>,
  { core, clock, logger, meter }: ShareParts,
): OpenShare {
  return ({ devices, local, release }): DeviceShare => {
    const { endpoints, gateway, weight, leaseSeconds } = cluster;
    const kv = openClient(endpoints);
    const ownership = new DeviceOwnership(
      { core, clock, random: systemRandom() },
      {
        ...{ kv, id: gateway, weight, prefix: prefixOf(site), leaseMs: leaseSeconds * 1000 },
        ...{ devices, local, release, meter, name: "device-ownership" },
      },
    );
    ownership.on("settled", ({ members, epoch }) =>
      logger.info("devices are shared", { gateways: members.map(({ id }) => id).join(", "), epoch }),
    );
    ownership.on("released", ({ devices: gone }) =>
      logger.info("devices went to others", { devices: gone.length }),
    );
    ownership.on("lost", () => logger.warn("the lease is over; no device is served until there is another"));
    ownership.on("problem", ({ error }) =>
      logger.warn("the cluster does not do what sharing devices needs", { error: error.message }),
    );
    return {
      serves: (device) => ownership.owns(device),
      owner: (device) => ownership.owner(device),
      state: () => {
        const { members, isSettled } = ownership.state;
        return { gateway, gateways: members.map(({ id }) => id), isSettled };
      },
      onGained: (listener) => {
        const heard = ownership.on("settled", listener);
        return () => heard[Symbol.dispose]();
      },
      close: async () => {
        await ownership.close();
        const isLast = await Promise.race([isEmpty(kv, site), patience(clock)]);
        kv.close();
        return { isLast };
      },
    };
  };
}

/** No gateway of the site lives. */
async function isEmpty(kv: KvClient, site: string): Promise<boolean> {
  const prefix = prefixOf(site);
  try {
    return readRoster(prefix, await kv.range(rosterRange(prefix))).live.length === 0;
  } catch {
    // Who does not know says nothing.
    return false;
  }
}

function patience(clock: Clock): Promise<false> {
  return new Promise((resolve) => clock.alarm(LOOK_MS, () => resolve(false)));
}
