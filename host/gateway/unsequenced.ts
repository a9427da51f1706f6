/** Messages of a device that have no number: the newest counts. */
import type { Message } from "../../protocols/messages.generated.ts";
import type { Meter } from "../io/seams.ts";
import type { Commands } from "./commands.ts";
import type { DeviceRow } from "./device-row.ts";
import type { ErrorMonitor } from "./error-monitor.ts";

export interface UnsequencedParts {
  readonly commands: Pick<Commands, "answer">;
  readonly monitor: ErrorMonitor;
  readonly meter: Meter;
  readonly row: (device: string) => DeviceRow | undefined;
}

/** True when the message should be logged. */
export function takeUnsequenced(parts: UnsequencedParts, device: string, message: Message): boolean {
  switch (message.kind) {
    case "commandResult":
      if (!parts.commands.answer(device, message)) {
        // A repeated command is answered twice; the second answer has nobody waiting.
        parts.meter.count("tardigrade_command_results_unexpected_total");
      }
      return false;
    case "shadow": {
      if (message.role !== 1) {
        const told = `${device} sent a desired shadow; only a gateway does.`;
        parts.monitor.report("SHADOW_INVALID", { component: "ingest", device, message: told });
        return false;
      }
      const reported = parts.row(device)?.reported;
      // A report that says nothing new is not worth a record.
      return (
        reported === undefined ||
        reported.version !== message.version ||
        Object.keys(reported.entries).length !== message.entries.length ||
        message.entries.some(({ key, value }) => reported.entries[key] !== value)
      );
    }
    default:
      return true;
  }
}
