/** A client over TCP with the system's clock and dice, as programs use it. */
import { openCore } from "../../core/core.ts";
import { readCoreBytes } from "../../core/core-bytes.ts";
import { createBackoff } from "../../core/policy/backoff.ts";
import { systemClock } from "../../io/clock.ts";
import { nodeNetwork } from "../../io/network.ts";
import { systemRandom } from "../../io/random.ts";
import { KvClient } from "./kv-client.ts";
import { streamChannels } from "./stream-channel.ts";

/** An election takes some hundreds of milliseconds: who waits longer between two tries adds to them. */
const RETRY = { baseMs: 10, capMs: 80 } as const;

/** `endpoints`: where nodes serve clients, HOST:PORT; any of them will do. */
export function openClient(endpoints: readonly string[], timeoutMs = 10_000): KvClient {
  const random = systemRandom();
  return new KvClient({
    ...{ endpoints, timeoutMs, clock: systemClock(), open: streamChannels(nodeNetwork()) },
    backoff: createBackoff({ core: openCore(readCoreBytes()), random }, RETRY),
  });
}
