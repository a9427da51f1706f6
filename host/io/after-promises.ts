/** Calls when every promise that can go on has done so, however deep the chains are: Node empties that queue before it comes to nextTick's. */
export function afterPromises(call: () => void): void {
  process.nextTick(call);
}
