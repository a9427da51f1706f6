/**
 * Opens a segment log: the truth that everything else in the gateway is projected from. log-writer.ts appends
 * and commits, segment.ts draws the files, recovery.ts says what a start makes of them.
 */

import { LogWriter } from "./log-writer.ts";
import { recover, segmentNames } from "./recovery.ts";
import { RoomWaiter } from "./room-waiter.ts";
import { SEGMENT_BYTES_MAX, SEGMENT_BYTES_MIN, segmentName } from "./segment.ts";
import type { SegmentLog, SegmentLogOptions } from "./segment-log-types.ts";
import { LOG_DEFAULTS } from "./segment-log-types.ts";
import { SPARE_NAME, SpareSegment } from "./spare-segment.ts";

export type { LogState, OpenReport, SegmentLog, SegmentLogOptions } from "./segment-log-types.ts";
export type { LogPage, LogRecord } from "./segment-reader.ts";

/**
 * Opens the log in a folder, which is made when absent. Rejects with LOG_LOCKED, LOG_CORRUPT, FORMAT_VERSION
 * or a disk error.
 */
export async function openSegmentLog(options: SegmentLogOptions): Promise<SegmentLog> {
  const { disk, folder } = options;
  checkOptions(options);
  await disk.makeFolder(folder);
  // Every folder on the way may be new; a log whose folder's name is not on the disk is lost with it.
  for (const above of foldersAbove(folder)) await disk.syncFolder(above);
  const lock = await disk.lock(`${folder}/lock`);
  try {
    const found = await disk.list(folder);
    if (found.includes(SPARE_NAME)) await disk.remove(`${folder}/${SPARE_NAME}`);
    const names = segmentNames(found);
    if (names.length === 0) names.push(await createFirst(options));
    // A killed process may have named a segment without syncing the folder; what we put in it would go with
    // the name.
    await disk.syncFolder(folder);
    const recovered = await recover(disk, folder, names);
    const log = new LogWriter(options, recovered, lock);
    if (recovered.tornBytes > 0) {
      options.meter?.count("log_torn_bytes", {}, recovered.tornBytes);
      options.logger?.warn("an unsynced tail of the log was cut; nothing acknowledged was in it", {
        code: "LOG_TORN_TAIL",
        segment: recovered.segments.at(-1)?.name,
        bytes: recovered.tornBytes,
      });
    }
    return log;
  } catch (error) {
    await lock.release();
    throw error;
  }
}

async function createFirst(options: SegmentLogOptions): Promise<string> {
  const { disk, folder, clock } = options;
  const room = new RoomWaiter({ clock, retryMs: 0, onChange: () => undefined });
  // A disk too full for the first segment is the caller's to hear of, not to wait for.
  room.close();
  const spare = new SpareSegment({ disk, folder, room, onFailure: () => undefined });
  const bytes = options.segmentBytes ?? LOG_DEFAULTS.segmentBytes;
  const file = await spare.take({ base: 0, bytes, logId: options.random?.u32() ?? 0 });
  await file.close();
  const name = segmentName(0);
  await disk.rename(spare.path, `${folder}/${name}`);
  return name;
}

function checkOptions(options: SegmentLogOptions): void {
  const bytes = options.segmentBytes ?? LOG_DEFAULTS.segmentBytes;
  if (bytes % SEGMENT_BYTES_MIN !== 0 || bytes < SEGMENT_BYTES_MIN || bytes > SEGMENT_BYTES_MAX) {
    throw new RangeError(
      `segmentBytes must be a multiple of ${SEGMENT_BYTES_MIN} up to ${SEGMENT_BYTES_MAX}`,
    );
  }
}

function foldersAbove(folder: string): string[] {
  const parts = folder.split("/");
  return parts.map((_, count) => (count === 0 ? "." : parts.slice(0, count).join("/")));
}
