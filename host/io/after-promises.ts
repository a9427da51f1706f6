/**
 * Calls when every promise that can go on has done so, however deep the chains are: Node empties that queue before it comes to nextTick's. The
 * detour by a promise is for a caller that is no promise's, such as a timer: what it puts into nextTick's queue would be called before the promises.
 */
export function afterPromises(call: () => void): void {
  queueMicrotask(() => process.nextTick(call));
}
