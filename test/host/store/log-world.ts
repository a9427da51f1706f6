/** A segment log on a simulated disk, for the tests of the log. */
import { openSegmentLog, type SegmentLog, type SegmentLogOptions } from "../../../host/store/segment-log.ts";
import { SimulatedClock } from "../../../host/world/clock.ts";
import { SimulatedDisk } from "../../../host/world/disk.ts";
import { seededRandom } from "../../../host/world/random.ts";

export interface World {
  readonly clock: SimulatedClock;
  readonly disk: SimulatedDisk;
  open(options?: Partial<SegmentLogOptions>): Promise<SegmentLog>;
}

export function world(seed = 1, capacityBytes = Number.POSITIVE_INFINITY): World {
  const clock = new SimulatedClock();
  const disk = new SimulatedDisk({ random: seededRandom(seed), clock, capacityBytes });
  const open = (options: Partial<SegmentLogOptions> = {}) =>
    openSegmentLog({ disk, folder: "log", clock, random: seededRandom(9), segmentBytes: 4096, ...options });
  return { clock, disk, open };
}

export const bytesOf = (length: number, fill = 1) => new Uint8Array(length).fill(fill);
export const FIRST = "log/0000000000000000.segment";

export async function contents(
  log: SegmentLog,
  limitBytes = 1000,
): Promise<{ offset: number; payload: Uint8Array }[]> {
  const all: { offset: number; payload: Uint8Array }[] = [];
  for (let from = 0; ; ) {
    const page = await log.read(from, limitBytes);
    if (page.records.length === 0) return all;
    all.push(...page.records);
    from = page.next;
  }
}
