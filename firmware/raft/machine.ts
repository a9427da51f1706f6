/**
 * What the peers agree on: sixteen numbers, which every board has from the same commands in the same order. So small that it is its own snapshot.
 *
 *   state     +0 registers u32 * 16   +64 last command of each peer u64 * 3
 *   command   +0 sequence u64   +8 value u32   +12 peer u8   +13 operation u8   +14 register u8   +15 0
 *
 * Who proposes does not learn what became of a proposal that a cut swallowed, and proposes it again, with the same sequence: of each peer, only what is higher than
 * its last one is done (thesis 6.3).
 */
import { reserve } from "../system/memory";

export const PEERS: u32 = 3;
export const REGISTERS: u32 = 16;
export const COMMAND_BYTES: u32 = 16;
const SEQUENCES: usize = 64;
export const STATE_BYTES: u32 = 88;

export const SET: u32 = 0;
export const ADD: u32 = 1;

const state: usize = reserve(STATE_BYTES);

export function machineState(): usize {
  return state;
}
export function machineLoad(from: usize): void {
  memory.copy(state, from, STATE_BYTES);
}
export function machineRead(register: u32): u32 {
  return register < REGISTERS ? load<u32>(state + <usize>(register << 2)) : 0;
}
/** Sequence of the last command of a peer that is in the state. */
export function machineDone(peer: u32): u64 {
  return load<u64>(state + SEQUENCES + <usize>((peer - 1) << 3));
}

export function machineCommand(
  to: usize,
  sequence: u64,
  peer: u32,
  operation: u32,
  register: u32,
  value: u32,
): void {
  store<u64>(to, sequence);
  store<u32>(to, value, 8);
  store<u32>(to, peer | (operation << 8) | (register << 16), 12);
}

/** A command that is none changes nothing, on every board alike. */
export function machineApply(command: usize, length: u32): void {
  const peer = <u32>load<u8>(command, 12);
  const register = <u32>load<u8>(command, 14);
  if (length != COMMAND_BYTES || peer == 0 || peer > PEERS || register >= REGISTERS) return;
  const sequence = load<u64>(command);
  if (sequence <= machineDone(peer)) return;
  store<u64>(state + SEQUENCES + <usize>((peer - 1) << 3), sequence);
  const at = state + <usize>(register << 2);
  const value = load<u32>(command, 8);
  store<u32>(at, load<u8>(command, 13) == <u8>ADD ? load<u32>(at) + value : value);
}
