/** TLS of the servers: the same for the broker and for HTTP. */
import type { Socket } from "node:net";
import { TLSSocket, type TlsOptions } from "node:tls";

export interface ServerTls {
  /** PEM. */
  readonly cert: string | Buffer;
  readonly key: string | Buffer;
  /** Authority whose certificates name users and devices. Without it no client certificate is asked for. */
  readonly ca?: string | Buffer;
  /** Whoever shows none is not let in; with `false` (the default) it may log in otherwise. */
  readonly clientCertificateRequired?: boolean;
}

const HANDSHAKE_MS = 10_000;

export function tlsOptions({ cert, key, ca, clientCertificateRequired }: ServerTls): TlsOptions {
  return {
    cert,
    key,
    minVersion: "TLSv1.2",
    handshakeTimeout: HANDSHAKE_MS,
    ...(ca === undefined
      ? {}
      : { ca, requestCert: true, rejectUnauthorized: clientCertificateRequired === true }),
  };
}

/** Of a certificate that the authority signed and whose time has not passed; undefined for any other. */
export function commonNameOf(socket: Socket): string | undefined {
  if (!(socket instanceof TLSSocket) || !socket.authorized) return undefined;
  const { CN } = socket.getPeerCertificate().subject ?? {};
  return typeof CN === "string" && CN.length > 0 ? CN : undefined;
}
