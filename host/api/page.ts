/**
 * The web page's files, read once when the API starts. A request names one of them or nothing: no path from outside ever meets the
 * file system. Hashed names may be kept for ever, the document is asked for again. It needs no log-in and holds no secret; what
 * it shows comes through the API, which asks.
 */
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { extname, join } from "node:path";
import type { FastifyInstance } from "fastify";
import { TardigradeError } from "../../protocols/error.ts";

const TYPES: Readonly<Record<string, string>> = {
  ".html": "text/html; charset=utf-8",
  ".js": "text/javascript; charset=utf-8",
  ".css": "text/css; charset=utf-8",
};
const HEADERS = {
  "content-security-policy":
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; base-uri 'none'; " +
    "form-action 'none'; frame-ancestors 'none'",
  "referrer-policy": "no-referrer",
  "x-frame-options": "DENY",
} as const;
const FOREVER = "public, max-age=31536000, immutable";

/** Where the page is built: beside the bundle in a package, in build/ in a checkout. */
const FOLDERS = ["./ui", "../ui", "../../build/ui"];

export interface PageFile {
  readonly type: string;
  readonly body: Buffer;
}

/** By name; empty where the page was not built. */
export function readPage(folders: readonly string[] = FOLDERS): ReadonlyMap<string, PageFile> {
  const folder = folders
    .map((path) => join(import.meta.dirname, path))
    .find((path) => existsSync(join(path, "index.html")));
  if (folder === undefined) return new Map();
  const files = readdirSync(folder).flatMap((name): [string, PageFile][] => {
    const type = TYPES[extname(name)];
    return type === undefined ? [] : [[name, { type, body: readFileSync(join(folder, name)) }]];
  });
  return new Map(files);
}

export function addPage(app: FastifyInstance, files: ReadonlyMap<string, PageFile>): void {
  const send = (name: string, cache: string) => {
    const file = files.get(name);
    if (file === undefined) {
      const missing = files.size === 0 ? " The page was not built: run `npm run build`." : "";
      throw new TardigradeError("NOT_FOUND", `There is no such file of the page.${missing}`);
    }
    return { ...file, headers: { ...HEADERS, "content-type": file.type, "cache-control": cache } };
  };
  const config = { role: "none" } as const;
  const schema = { hide: true } as const;
  app.get("/", { config, schema }, (_request, reply) => {
    const { body, headers } = send("index.html", "no-cache");
    return reply.headers(headers).send(body);
  });
  app.get<{ Params: { name: string } }>("/ui/:name", { config, schema }, ({ params }, reply) => {
    const { body, headers } = send(params.name === "index.html" ? "" : params.name, FOREVER);
    return reply.headers(headers).send(body);
  });
}
