/**
 * tardigrade/cluster: the replicated key-value store that `tardi cluster run` serves, for Node programs, and what they share through it: a rate limit, and the
 * devices that each of them serves.
 *
 *     const kv = openCluster({ endpoints: ["127.0.0.1:7201", "127.0.0.1:7202", "127.0.0.1:7203"] });
 *     const limit = fleetRateLimit({ kv, key: "limits/cloud-api", limit: 100 });
 *     await limit.execute(() => fetch(url));
 *     const ownership = deviceOwnership({ kv, id: "attic" });
 *     if (ownership.owns(device)) serve(device);
 */

import type { KvClient } from "../cluster/client/kv-client.ts";
import { openClient } from "../cluster/client/open-client.ts";
import {
  createFleetRateLimit,
  type FleetRateLimit,
  type FleetRateLimitOptions,
} from "../cluster/limit/fleet-rate-limit.ts";
import { DeviceOwnership, type DeviceOwnershipOptions } from "../cluster/ownership/device-ownership.ts";
import { openCore } from "../core/core.ts";
import { readCoreBytes } from "../core/core-bytes.ts";
import type { PolicyClock, PolicyRandom, PolicySeams } from "../core/policy/policy.ts";
import { systemClock } from "../io/clock.ts";
import { systemRandom } from "../io/random.ts";

export { isTardigradeError, TardigradeError } from "../../protocols/error.ts";
export type { KvClient, WriteResult } from "../cluster/client/kv-client.ts";
export type { KvCondition } from "../cluster/kv/command.ts";
export type { KvEvent } from "../cluster/kv/events.ts";
export type { KvItem, KvRange, KvRangeOptions } from "../cluster/kv/read.ts";
export type {
  FleetRateEvents,
  FleetRateLimit,
  FleetRateLimitOptions,
  FleetRateState,
} from "../cluster/limit/fleet-rate-limit.ts";
export type {
  DeviceOwnership,
  DeviceOwnershipOptions,
  OwnershipEvents,
  OwnershipState,
} from "../cluster/ownership/device-ownership.ts";
export type { Member } from "../cluster/ownership/roster.ts";

export interface OpenClusterOptions {
  /** Where nodes serve clients, HOST:PORT; any of them will do. */
  readonly endpoints: readonly string[];
  /** For a request, with all its tries; 10,000 by default. */
  readonly timeoutMs?: number;
}

/** Connects with the first request. Close it when it is not needed any more. */
export function openCluster({ endpoints, timeoutMs }: OpenClusterOptions): KvClient {
  return openClient(endpoints, timeoutMs);
}

export interface SeamOptions {
  /** Default the system's monotonic clock. */
  readonly clock?: PolicyClock;
  /** Default the system's dice. */
  readonly random?: PolicyRandom;
}

/** Lets all members of a fleet together through so often. Throws ARGUMENT. */
export function fleetRateLimit(options: FleetRateLimitOptions & SeamOptions): FleetRateLimit {
  return createFleetRateLimit(seamsOf(options), options);
}

/** Joins those who share a site's devices, at once. Close it when this program should serve none any more. Throws ARGUMENT. */
export function deviceOwnership(options: DeviceOwnershipOptions & SeamOptions): DeviceOwnership {
  return new DeviceOwnership(seamsOf(options), options);
}

let shared: PolicySeams | undefined;

function seamsOf({ clock, random }: SeamOptions): PolicySeams {
  shared ??= { core: openCore(readCoreBytes()), clock: systemClock(), random: systemRandom() };
  return { ...shared, clock: clock ?? shared.clock, random: random ?? shared.random };
}
