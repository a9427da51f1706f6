/** Virtual boards as their users run them (`tardi boards run`), in a process of their own. */
import { join } from "node:path";
import { buildApp } from "../boards/toolchain/build.ts";
import type { BoardsFigures } from "../host/cli/boards-run.ts";
import { writeImage } from "../host/cli/build-command.ts";
import { Child, ROOT } from "./child.ts";
import { SITE } from "./gateway-process.ts";

const SOURCE_CLI = join(ROOT, "host/cli/main.ts");
const REPORTS_MAX = 180;

export async function buildImage(app: string, folder: string): Promise<string> {
  await writeImage(folder, await buildApp({ path: join(ROOT, app), board: "virtual" }));
  return folder;
}

export interface BoardsProcess {
  readonly child: Child;
  /** Figures of a report for which the condition holds; rejects when it does not come. */
  until(condition: (figures: BoardsFigures) => boolean): Promise<BoardsFigures>;
  /** Stops the apps, waits until nothing is held any more, and ends; resolves with the last figures. */
  drain(): Promise<BoardsFigures>;
}

export interface BoardsProcessOptions {
  readonly port: number;
  readonly count: number;
  readonly image: string;
  readonly cli?: string;
  /** More for the command line, such as the series to replay. */
  readonly args?: readonly string[];
}

export function startBoards(options: BoardsProcessOptions): BoardsProcess {
  const { port, count, image, cli = SOURCE_CLI, args = [] } = options;
  const url = `mqtt://127.0.0.1:${port}`;
  const own = ["--url", url, "--site", SITE, "--count", `${count}`, "--image", image, "--prefix", "board"];
  const child = Child.node("boards", [cli, "boards", "run", ...own, ...args]);
  const until = async (condition: (figures: BoardsFigures) => boolean): Promise<BoardsFigures> => {
    for (let report = 0; report < REPORTS_MAX; report += 1) {
      const figures = (await child.next("figures")) as unknown as BoardsFigures;
      if (condition(figures)) return figures;
    }
    throw new Error(`The boards did not get there in ${REPORTS_MAX} reports.`);
  };
  return {
    child,
    until,
    drain: async () => {
      child.send("pause");
      await until(({ held, batched }) => held === 0 && batched === 0);
      child.send("stop");
      return (await child.next("final")) as unknown as BoardsFigures;
    },
  };
}
