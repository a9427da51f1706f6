/** What the port calls of a board among peers (../port/common/peer.c); an app's setup() and loop() stand beside it. */
import { reserve } from "../system/memory";

export { machineState as machine } from "./machine";
export { peerBoot as boot, peerConditionAt as condition, peerNode as node, peerPoll as poll } from "./peer";

/** All memory lies below: the toolchain gives the module as much. */
export function memory_end(): usize {
  return reserve(0);
}
