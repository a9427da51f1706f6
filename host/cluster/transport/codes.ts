/** The codes with which one node refuses another, by the number that travels. */
import { ERRORS, type ErrorCode } from "../../../protocols/table.ts";

const REFUSALS = ["CLUSTER_FOREIGN", "NODE_FOREIGN", "PEER_VERSION", "PEER_HELLO", "PEER_LIMIT"] as const;
const BY_NUMBER = new Map<number, ErrorCode>(REFUSALS.map((code) => [ERRORS[code].number, code]));

/** Undefined for what no node of this version refuses with. */
export function codeOfNumber(number: number): ErrorCode | undefined {
  return BY_NUMBER.get(number);
}
