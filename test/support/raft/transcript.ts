/**
 * Transcripts: commands to a stage of Raft nodes, a line `----`, and what came of them, up to an empty line.
 *
 *   nodes N [lease MS]            that many voters; the file's first command
 *   join ID                       a node that is no member yet
 *   time MS | tick ID MS          time passes for all, or for one
 *   settle                        messages are delivered until there are none
 *   propose ID WORD...            each word a command; a*200 is a long one
 *   change ID members             such as: voters 1 2 3 learners 4 witnesses 5
 *   transfer ID to ID | read ID CONTEXT
 *   stall ID | sync ID            nothing becomes durable; everything is
 *   cut A B | part ID | heal      what A sends to B is lost; a node hears and is heard by nobody; all is mended
 *   crash ID | start ID | compact ID
 *   status | log ID
 */
import type { Core } from "../../../host/core/core.ts";
import type { RaftMember } from "../../../host/core/raft.ts";
import { isTardigradeError } from "../../../protocols/error.ts";
import { Stage } from "./stage.ts";

const RULE = "----";
const ROLES: Readonly<Record<string, RaftMember["role"]>> = {
  voters: "voter",
  learners: "learner",
  witnesses: "witness",
};

/** The transcript as it would be now. */
export function replay(core: Core, transcript: string): string {
  let stage: Stage | undefined;
  const said: string[] = [];
  const blocks = transcript.trimEnd().split("\n\n");
  try {
    const replayed = blocks.map((block) => {
      const [script = ""] = block.split(`\n${RULE}`);
      const commands = script.split("\n").filter((line) => line !== "" && !line.startsWith("#"));
      if (commands.length === 0) return block;
      for (const command of commands) {
        const words = command.split(" ");
        if (words[0] === "nodes") {
          stage?.[Symbol.dispose]();
          const leaseMs = Number(words[3] ?? 0);
          stage = new Stage(core, { nodes: Number(words[1]), leaseMs, say: (line) => said.push(line) });
          continue;
        }
        if (stage === undefined) throw new Error("a transcript begins with: nodes N");
        try {
          direct(stage, words);
        } catch (error) {
          if (!isTardigradeError(error)) throw new Error(`${command}: ${(error as Error).message}`);
          said.push(error.code);
        }
      }
      return [script, RULE, ...said.splice(0)].join("\n");
    });
    return `${replayed.join("\n\n")}\n`;
  } finally {
    stage?.[Symbol.dispose]();
  }
}

function direct(stage: Stage, [command, ...words]: readonly string[]): void {
  const [first = 0, second = 0] = words.map(Number);
  switch (command) {
    case "join":
      return stage.add(first, []);
    case "time":
      return stage.tick(first);
    case "tick":
      return stage.tick(second, first);
    case "settle":
      return stage.settle();
    case "propose":
      for (const word of words.slice(1)) {
        const [letters = "", times = 1] = word.split("*");
        stage.propose(first, letters.repeat(Number(times)));
      }
      return;
    case "change":
      return stage.change(first, membersOf(words.slice(1)));
    case "transfer":
      return stage.transfer(first, Number(words[2]));
    case "read":
      return stage.read(first, second);
    case "stall":
      return stage.stall(first);
    case "sync":
      return stage.sync(first);
    case "cut":
      return stage.cut(first, second);
    case "part":
      return stage.part(first);
    case "heal":
      return stage.heal();
    case "crash":
      return stage.crash(first);
    case "start":
      return stage.start(first);
    case "compact":
      return stage.compact(first);
    case "status":
      return stage.status();
    case "log":
      return stage.log(first);
    default:
      throw new Error("there is no such command");
  }
}

function membersOf(words: readonly string[]): RaftMember[] {
  let role: RaftMember["role"] = "voter";
  return words.flatMap((word) => {
    const named = ROLES[word];
    if (named === undefined) return [{ id: Number(word), role }];
    role = named;
    return [];
  });
}
