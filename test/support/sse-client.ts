/** Reads server-sent events off a plain socket, as a browser would parse them, and knows how not to read. */
import { connect, type Socket } from "node:net";

export interface SseEvent {
  readonly id: string | undefined;
  readonly event: string | undefined;
  readonly data: string;
}

export interface SseClient {
  readonly socket: Socket;
  readonly events: SseEvent[];
  readonly comments: string[];
  /** Status line and headers. */
  head: string;
  /** Resolves when the condition holds; rejects when the connection ends before. */
  until(condition: () => boolean): Promise<void>;
  readonly ended: Promise<void>;
  close(): void;
}

export function sseClient(port: number, path: string, headers: Record<string, string> = {}): SseClient {
  const socket = connect(port, "127.0.0.1");
  const waiters = new Set<() => void>();
  let text = "";
  let isEnded = false;
  let tell: () => void = () => undefined;
  const wake = (): void => {
    for (const waiter of waiters) waiter();
  };
  const client: SseClient = {
    socket,
    events: [],
    comments: [],
    head: "",
    ended: new Promise((resolve) => {
      tell = resolve;
    }),
    until: (condition) =>
      new Promise((resolve, reject) => {
        const check = (): void => {
          if (condition()) resolve();
          else if (isEnded) reject(new Error(`the stream ended before: ${client.head}`));
          else return;
          waiters.delete(check);
        };
        waiters.add(check);
        check();
      }),
    close: () => socket.destroy(),
  };
  socket.on("data", (chunk) => {
    text += chunk.toString("utf8");
    text = take(client, text);
    wake();
  });
  socket.on("error", () => undefined);
  socket.on("close", () => {
    isEnded = true;
    tell();
    wake();
  });
  const lines = Object.entries({ host: "localhost", ...headers }).map(
    ([name, value]) => `${name}: ${value}\r\n`,
  );
  // HTTP/1.0 would do without chunks; a browser speaks 1.1.
  socket.write(`GET ${path} HTTP/1.1\r\n${lines.join("")}\r\n`);
  return client;
}

/** Takes the head, then whole chunks (whose sizes are lines of their own), and leaves the rest. */
function take(client: SseClient, input: string): string {
  let text = input;
  if (client.head === "") {
    const end = text.indexOf("\r\n\r\n");
    if (end < 0) return text;
    client.head = text.slice(0, end);
    text = text.slice(end + 4);
  }
  for (;;) {
    const sizeEnd = text.indexOf("\r\n");
    const size = sizeEnd < 0 ? Number.NaN : Number.parseInt(text.slice(0, sizeEnd), 16);
    if (!(size > 0) || text.length < sizeEnd + 2 + size + 2) return text;
    for (const block of text.slice(sizeEnd + 2, sizeEnd + 2 + size).split("\n\n")) parse(client, block);
    text = text.slice(sizeEnd + 2 + size + 2);
  }
}

function parse(client: SseClient, block: string): void {
  const fields = new Map<string, string>();
  for (const line of block.split("\n")) {
    if (line.startsWith(":")) client.comments.push(line.slice(1).trim());
    else if (line !== "") fields.set(line.slice(0, line.indexOf(":")), line.slice(line.indexOf(":") + 2));
  }
  const data = fields.get("data");
  if (data !== undefined) client.events.push({ id: fields.get("id"), event: fields.get("event"), data });
}
