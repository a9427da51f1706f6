/** Every record of a gateway's segment log, in order. The gateway must have ended. */
import { decodeRecord, type LogRecord } from "../host/gateway/record.ts";
import { systemClock } from "../host/io/clock.ts";
import { nodeDisk } from "../host/io/disk.ts";
import { openSegmentLog } from "../host/store/segment-log.ts";

const READ_BYTES = 1024 * 1024;

export async function readLog(dataFolder: string, each: (record: LogRecord) => void): Promise<void> {
  const log = await openSegmentLog({ disk: nodeDisk(dataFolder), folder: "log", clock: systemClock() });
  try {
    for (let at = log.start; at < log.syncedEnd; ) {
      const { records, next } = await log.read(at, READ_BYTES);
      for (const { payload } of records) each(decodeRecord(payload));
      if (next <= at) break;
      at = next;
    }
  } finally {
    await log.close();
  }
}
