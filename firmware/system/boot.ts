/**
 * Which boot this is, and which sequence numbers are in use: both in the flash journal, written before they count. After a
 * power cut the outbox is gone, and the reserved bound of the boot before tells the gateway what may be missing.
 */
import { SEQUENCE_RESERVE } from "../../assembly/codec/schema.generated";
import { hal_journal_read, hal_journal_write } from "./hal";
import { outboxBoot, outboxClear, outboxNextSequence, outboxOpenBoot, outboxRecover } from "./outbox";

const JOURNAL_BOOT: u32 = 1;
const JOURNAL_RESERVED: u32 = 2;
/** A loss that no gateway has confirmed yet: its boot and its bound. A reset must not forget it. */
const JOURNAL_LOST_BOOT: u32 = 3;
const JOURNAL_LOST_TO: u32 = 4;

let boot: u32 = 0;
let reserved: u32 = 0;

/** Takes over what a warm reset left: true when there was something. Until bootCount() this is still the boot before. */
export function bootStart(): bool {
  const before = <u32>hal_journal_read(JOURNAL_BOOT);
  const kept = outboxRecover() && outboxBoot() == before;
  if (!kept) outboxClear();
  boot = before;
  return kept;
}

/** After the open batch of the boot before has been taken over. */
export function bootCount(kept: bool): void {
  const before = boot;
  const reservedBefore = <u32>hal_journal_read(JOURNAL_RESERVED);
  boot = before + 1;
  reserved = 0;
  // A power cut may have taken what the boot before had numbered.
  if (!kept && before > 0 && reservedBefore > 0) {
    hal_journal_write(JOURNAL_LOST_TO, reservedBefore);
    hal_journal_write(JOURNAL_LOST_BOOT, before);
  }
  hal_journal_write(JOURNAL_BOOT, boot);
  hal_journal_write(JOURNAL_RESERVED, 0);
  outboxOpenBoot(boot);
}

export function bootNumber(): u32 {
  return boot;
}

/** Called before a sequence number is used: the journal holds a bound of all numbers in use. */
export function bootReserve(): void {
  if (outboxNextSequence() <= reserved) return;
  reserved = outboxNextSequence() + SEQUENCE_RESERVE - 1;
  hal_journal_write(JOURNAL_RESERVED, reserved);
}

/** A boot whose unacknowledged messages a power cut took, 0 for none, and the highest number it may have used. */
export function bootLost(): u32 {
  return <u32>hal_journal_read(JOURNAL_LOST_BOOT);
}
export function bootLostTo(): u32 {
  return <u32>hal_journal_read(JOURNAL_LOST_TO);
}
/** The gateway has recorded it. */
export function bootLossStated(): void {
  if (bootLost() != 0) hal_journal_write(JOURNAL_LOST_BOOT, 0);
}
