/** Two pseudo-terminals that socat joins, under names that stay when the pair is cut and made again. */
import { type ChildProcess, spawn } from "node:child_process";
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ended } from "./processes.ts";
import { until } from "./until.ts";

export class PtyPair {
  readonly #folder = mkdtempSync(join(tmpdir(), "tardigrade-pty-"));
  /** The gateway's port. */
  readonly host = join(this.#folder, "host");
  /** The board's. */
  readonly board = join(this.#folder, "board");
  #socat: ChildProcess | undefined;

  async plug(): Promise<void> {
    const pty = (link: string): string => `pty,raw,echo=0,link=${link}`;
    this.#socat = spawn("socat", [pty(this.host), pty(this.board)], { stdio: "ignore" });
    await until("socat has made its pair", () => existsSync(this.host) && existsSync(this.board));
  }

  /** Both ends hang up, as at an unplugged cable. */
  async unplug(): Promise<void> {
    const socat = this.#socat;
    this.#socat = undefined;
    if (socat === undefined) return;
    socat.kill("SIGKILL");
    await ended(socat);
    // Killed, it leaves its links behind, and the next pair would be taken for made.
    rmSync(this.host, { force: true });
    rmSync(this.board, { force: true });
  }

  async close(): Promise<void> {
    await this.unplug();
    rmSync(this.#folder, { recursive: true });
  }
}
