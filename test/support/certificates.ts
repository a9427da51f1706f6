/** A certificate authority for a test, by openssl: made in a folder that is gone afterwards. */
import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

export interface KeyPair {
  readonly cert: string;
  readonly key: string;
}

export interface Authority extends KeyPair {
  /** Signed by this authority; valid for 127.0.0.1 and localhost. */
  issue(commonName: string): KeyPair;
}

export function certificateAuthority(name: string): Authority {
  const folder = mkdtempSync(join(tmpdir(), "tardigrade-ca-"));
  const path = (file: string): string => join(folder, file);
  const openssl = (...args: string[]): void => {
    execFileSync("openssl", args, { cwd: folder, stdio: ["ignore", "ignore", "pipe"] });
  };
  const ec = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"];
  const read = (file: string): string => readFileSync(path(file), "utf8");
  process.once("exit", () => rmSync(folder, { recursive: true, force: true }));
  openssl("req", "-x509", ...ec, "-keyout", "ca.key", "-out", "ca.pem", "-days", "2", "-subj", `/CN=${name}`);
  writeFileSync(path("names"), "subjectAltName=IP:127.0.0.1,DNS:localhost\n");
  return {
    cert: read("ca.pem"),
    key: read("ca.key"),
    issue: (commonName) => {
      openssl("req", ...ec, "-keyout", "one.key", "-out", "one.csr", "-subj", `/CN=${commonName}`);
      const signer = ["-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial"];
      openssl(
        "x509",
        "-req",
        "-in",
        "one.csr",
        ...signer,
        "-days",
        "2",
        "-extfile",
        "names",
        "-out",
        "one.pem",
      );
      return { cert: read("one.pem"), key: read("one.key") };
    },
  };
}
