/** `tardi flash`: an app's source onto a board. */
import {
  type BoardDefinition,
  boardNamed,
  type NativeDefinition,
} from "../../boards/definitions/definition.ts";
import { chooseDrive, writeUf2 } from "../../boards/flashers/uf2-drive.ts";
import { buildApp } from "../../boards/toolchain/build.ts";
import { TardigradeError } from "../../protocols/error.ts";
import { nativeBuild } from "./build-command.ts";
import { note, print, printJson, progress, yellow } from "./output.ts";

export interface FlashOptions {
  readonly board: string;
  readonly drive?: string;
  readonly json?: boolean;
}

export async function flashCommand(path: string, options: FlashOptions): Promise<void> {
  const definition = flashable(boardNamed(options.board));
  // Before the build: a missing drive is what fails most often.
  const drive = chooseDrive({
    boardId: definition.uf2BoardId,
    title: definition.title,
    ...(options.drive === undefined ? {} : { path: options.drive }),
  });
  const building = options.json ? undefined : progress(`Building ${path} for ${definition.title}`);
  const app = await buildApp({ path, board: options.board });
  const build = await nativeBuild(definition, app);
  if (build === undefined) throw new TardigradeError("INTERNAL", `${definition.name} gave no images.`);
  const { uf2Of } = await import("../../boards/toolchain/native/uf2.ts");
  const uf2 = uf2Of(definition, build);
  building?.done(`base ${build.base.flashBytes}, app ${build.app.flashBytes} bytes of flash`);
  const copying = options.json ? undefined : progress(`Copying to ${drive.path}`);
  const name = `${app.manifest.name}-${definition.name}.uf2`;
  await writeUf2(drive, name, uf2, (written) => copying?.update(`${written} of ${uf2.length} bytes`));
  copying?.done(`${uf2.length} bytes`);
  const flash = { base: build.base.flashBytes, app: build.app.flashBytes };
  if (options.json) {
    printJson({
      board: definition.name,
      drive: drive.path,
      file: name,
      uf2Bytes: uf2.length,
      flash,
      warnings: app.warnings,
    });
    return;
  }
  for (const warning of app.warnings) note(`${yellow("warning")} ${warning}`);
  print(
    `${app.manifest.name} ${app.manifest.version} is on the board, which starts it by itself. Its link is UART0 at 115200 baud; \`tardi ports\` lists what is plugged in.`,
  );
}

function flashable(definition: BoardDefinition): NativeDefinition {
  if (definition.kind === "native") return definition;
  const what =
    definition.kind === "virtual"
      ? "it runs in Node; `tardi build --out FOLDER` and `tardi boards run --image FOLDER` start one"
      : "it is a program of this machine";
  throw new TardigradeError(
    "BUILD_BOARD",
    `A ${definition.name} board is not flashed: ${what}. Boards with flash: pico.`,
  );
}
