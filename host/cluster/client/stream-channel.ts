/** Channels over streams of the Network seam. */
import type { Dispose, Network } from "../../io/seams.ts";
import { parseAddress } from "../address.ts";
import { FrameReader } from "../transport/frame.ts";
import { SendQueue } from "../transport/send-queue.ts";
import type { KvChannel, OpenKvChannel } from "./channel.ts";

const RESPONSE_BYTES_MAX = 16 * 1024 * 1024;
const QUEUE_BYTES_MAX = 12 * 1024 * 1024;

export function streamChannels(network: Network): OpenKvChannel {
  return async (address) => {
    const stream = await network.connect(parseAddress(address));
    const queue = new SendQueue({ bytesMax: QUEUE_BYTES_MAX, messagesMax: Number.POSITIVE_INFINITY });
    let clear = true;
    let flushing = false;
    let closed = false;
    let onResponse: (response: Uint8Array) => void = () => undefined;
    const flush = (): void => {
      if (!closed && clear && queue.messages > 0) clear = stream.write(queue.take());
    };
    const reader = new FrameReader({ bodyBytesMax: RESPONSE_BYTES_MAX, onFrame: (body) => onResponse(body) });
    const disposers: Dispose[] = [
      stream.onData((bytes) => {
        if (reader.push(bytes) !== undefined) channel.close();
      }),
      stream.onDrain(() => {
        clear = true;
        flush();
      }),
    ];
    const channel: KvChannel = {
      send: (request) => {
        if (closed) return;
        if (!queue.put(request)) {
          channel.close();
          return;
        }
        if (flushing || !clear) return;
        flushing = true;
        queueMicrotask(() => {
          flushing = false;
          flush();
        });
      },
      onResponse: (listener) => {
        onResponse = listener;
        return () => {
          onResponse = () => undefined;
        };
      },
      onClose: (listener) => stream.onClose(() => listener()),
      close: () => {
        if (closed) return;
        closed = true;
        reader.stop();
        for (const dispose of disposers) dispose();
        stream.close();
      },
    };
    return channel;
  };
}
