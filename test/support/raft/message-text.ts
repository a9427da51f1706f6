/** A message between Raft nodes as a line to read; what it holds is in assembly/consensus/raft/message.ts. */
import { decodeMembers, type RaftMember } from "../../../host/core/raft.ts";

const KINDS = [
  ...["?", "vote", "vote answer", "append", "append answer", "heartbeat", "heartbeat answer"],
  ...["snapshot", "snapshot answer", "campaign", "propose", "read", "read answer"],
] as const;
type Kind = (typeof KINDS)[number];

const HEADER_BYTES = 64;
const ENTRY_HEADER_BYTES = 16;
const COMMAND = 1;
const CONFIGURATION = 2;
const PRE = 1;
const REFUSED = 2;
const BY_LEADER = 4;
const COMPLETE = 8;
const SHOWN_MAX = 8;
const text = new TextDecoder();

export interface Envelope {
  readonly from: number;
  readonly to: number;
}

export function envelopeOf(message: Uint8Array): Envelope {
  const view = viewOf(message);
  return { from: view.getUint32(8, true), to: view.getUint32(12, true) };
}

export function messageText(message: Uint8Array): string {
  const view = viewOf(message);
  const { from, to } = envelopeOf(message);
  const kind = KINDS[message[0] as number] ?? "?";
  const pre = (message[1] as number) & PRE ? "pre-" : "";
  return `${from}>${to} ${pre}${kind}, term ${u64(view, 16)}${detailsOf(kind, message)}`;
}

function detailsOf(kind: Kind, message: Uint8Array): string {
  const view = viewOf(message);
  const flags = message[1] as number;
  const [index, logTerm, commit, context] = [24, 32, 40, 48].map((at) => u64(view, at)) as [
    ...[number, number, number, number],
  ];
  const round = context === 0 ? "" : `, context ${context}`;
  switch (kind) {
    case "vote":
      return `, log ends at ${index} of term ${logTerm}${flags & BY_LEADER ? ", as the leader asked" : ""}`;
    case "vote answer":
      return flags & REFUSED ? ", refused" : ", granted";
    case "append":
      return `, behind ${index} of term ${logTerm}, commit ${commit}${round}${runText(message.subarray(HEADER_BYTES), index + 1)}`;
    case "append answer":
      return flags & REFUSED
        ? `, refused behind ${commit}, try behind ${index} of term ${logTerm}`
        : `, durable to ${index}${round}`;
    case "heartbeat":
      return `, commit ${commit}${round}`;
    case "heartbeat answer":
      return `, durable to ${index}${round}`;
    case "snapshot": {
      const head = HEADER_BYTES + 8 + view.getUint32(HEADER_BYTES, true) * 8;
      const members = membersText(decodeMembers(message.slice(HEADER_BYTES, head)));
      return `, to ${index} of term ${logTerm}, bytes ${context} to ${context + message.length - head} of ${commit}, ${members}`;
    }
    case "snapshot answer":
      return `, to ${index}, ${flags & REFUSED ? "refused" : `next byte ${context}${flags & COMPLETE ? ", complete" : ""}`}`;
    case "propose":
      return ` ${commandText(message.subarray(HEADER_BYTES))}`;
    case "read":
      return round;
    case "read answer":
      return `, at ${index}${round}`;
    default:
      return "";
  }
}

/** Entries as ` [5/2 "x"] [6/2 members 1, 2]`: index, term and what they hold. */
export function runText(run: Uint8Array, first: number): string {
  const view = viewOf(run);
  let said = "";
  for (let [at, index] = [0, first]; at + ENTRY_HEADER_BYTES <= run.length; index += 1) {
    const length = view.getUint32(at + 8, true);
    const payload = run.slice(at + ENTRY_HEADER_BYTES, at + ENTRY_HEADER_BYTES + length);
    said += ` [${index}/${u64(view, at)} ${payloadText(view.getUint32(at + 12, true), payload)}]`;
    at += ENTRY_HEADER_BYTES + ((length + 7) & ~7);
  }
  return said;
}

function payloadText(kind: number, payload: Uint8Array): string {
  if (kind === CONFIGURATION) return membersText(decodeMembers(payload));
  return kind === COMMAND ? commandText(payload) : "empty";
}

function commandText(payload: Uint8Array): string {
  const said = text.decode(payload);
  return said.length <= SHOWN_MAX ? `"${said}"` : `"${said.slice(0, SHOWN_MAX)}…" of ${said.length} bytes`;
}

export function membersText(members: readonly RaftMember[]): string {
  return `members ${members.map(({ id, role, outgoing, leaving }) => `${id}${role === "voter" ? "" : ` ${role}`}${outgoing ? " (both)" : ""}${leaving ? " (leaves)" : ""}`).join(", ")}`;
}

function u64(view: DataView, at: number): number {
  return Number(view.getBigUint64(at, true));
}
function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
}
