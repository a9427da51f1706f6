/**
 * Three boards in a ring: link 0 of each leads to link 1 of the next. The rig carries bytes, cuts wires and power, presses buttons; nothing in it knows Raft but the
 * checks, which look at every frame that leaves, at the boards' memory and at their flash:
 *
 *   election safety      no two boards lead in a term, and none votes for two in a term, over all its lives
 *   durable first        what a message says (a term, a vote, how far the log is kept) is in the sender's flash when its first byte leaves
 *   state machine        no two boards have different entries at a committed index; each board's machine is what a model makes of those entries
 *   kept                 whatever was committed stands in the flash of two boards from then on
 *   never back           a board's durable term does not go back
 */
import type { FlashCut, FlashOperation } from "../../../boards/simulators/pico/flash.ts";
import { seededRandom } from "../../../host/world/random.ts";
import type { RingBoard, RingBoards } from "./board.ts";
import { createDeframer, type Deframer } from "./deframer.ts";
import {
  type Durable,
  LEADING,
  MachineModel,
  type NodeState,
  readEntry,
  readJournal,
  readMachine,
  readNode,
} from "./layouts.ts";

const STEP_US = 500;
/** Longer than a flash erase, in which a board looks at nothing. */
const PRESS_STEPS = 120;
const [VOTE_REQUEST, VOTE_ANSWER, APPEND_ANSWER, HEARTBEAT_ANSWER] = [1, 2, 4, 6];
const [PRE, REFUSED] = [1, 2];

export interface Seat {
  readonly id: number;
  readonly board: RingBoard;
  readonly deframe: readonly [Deframer<Durable | undefined>, Deframer<Durable | undefined>];
  /** When the power is to come back, in steps. */
  onAt: number;
  pressedUntil: number;
  presses: number;
  /** It is known to take no part. */
  isOut: boolean;
  checked: number;
  /**
   * Entries of its log when it was last looked at, by index: those that it did not know to be committed then. Kept over a power cut: it may have come right after the
   * snapshot in which they went.
   */
  pending: Map<number, string>;
  term: number;
  /** Erases and programs of the journal so far, and where the power goes: when all of them are so many, or the erases alone. */
  operations: number;
  erases: number;
  cut: { readonly operations?: number; readonly erases?: number; readonly how: FlashCut } | undefined;
  state: NodeState | undefined;
}

export class Ring {
  readonly random: ReturnType<typeof seededRandom>;
  readonly seats: readonly Seat[];
  /** Directions that carry nothing: "1>2". */
  readonly cut = new Set<string>();
  readonly #boards: RingBoards;
  readonly #seed: number;
  readonly #leaders = new Map<number, number>();
  readonly #votes = new Map<string, number>();
  readonly #committed: string[] = [""];
  readonly #machines: string[] = [new MachineModel().hex()];
  readonly #model = new MachineModel();
  #arrived: { readonly seat: Seat; readonly link: 0 | 1; readonly bytes: Uint8Array }[] = [];
  #steps = 0;
  /** Flash operations at which the power went. */
  readonly cutsAtFlash: FlashOperation[] = [];

  constructor(boards: RingBoards, seed: number) {
    this.#boards = boards;
    this.#seed = seed;
    this.random = seededRandom(seed);
    this.seats = [1, 2, 3].map((id) => this.#seat(id));
    for (const { board } of this.seats) board.powerOn();
  }

  #seat(id: number): Seat {
    const board = this.#boards.make({
      id,
      seed: this.#seed * 31 + id,
      onBytes: (link, bytes) => this.#sent(seat, link, bytes),
      onFlashOperation: (operation) => this.#operation(seat, operation),
    });
    const begin = () => readJournal(board.journal());
    const deframe = [createDeframer(begin), createDeframer(begin)] as const;
    const seat: Seat = {
      ...{
        id,
        board,
        deframe,
        onAt: 0,
        pressedUntil: 0,
        presses: 0,
        isOut: false,
        checked: 0,
        term: 0,
        operations: 0,
        erases: 0,
      },
      ...{ cut: undefined, state: undefined, pending: new Map<number, string>() },
    };
    return seat;
  }

  get nowMs(): number {
    return (this.#steps * STEP_US) / 1000;
  }
  /** Entries that some board knew to be committed. */
  get committed(): number {
    return this.#committed.length - 1;
  }
  get leader(): Seat | undefined {
    const leading = this.seats.filter(({ board, state }) => board.isOn && state?.role === LEADING);
    return leading.sort((a, b) => (b.state as NodeState).term - (a.state as NodeState).term)[0];
  }
  seat(id: number): Seat {
    return this.seats[id - 1] as Seat;
  }
  /** RUNNING, or why a board takes no part (firmware/raft/peer.ts). */
  condition(seat: Seat): number | undefined {
    return seat.board.memory()?.getUint32(this.#boards.module.condition, true);
  }
  /** What all boards agree on, as the model has it. */
  get count(): number {
    return this.#model.registers[0] as number;
  }

  cutWire(a: number, b: number, isCut = true): void {
    for (const way of [`${a}>${b}`, `${b}>${a}`]) {
      if (isCut) this.cut.add(way);
      else this.cut.delete(way);
    }
  }
  /** Holds a board's button for 60 ms, unless it is held, or was just now, or the board is off. */
  press(seat: Seat): void {
    if (!seat.board.isOn || this.#steps <= seat.pressedUntil + PRESS_STEPS) return;
    seat.board.press(true);
    seat.pressedUntil = this.#steps + PRESS_STEPS;
    seat.presses += 1;
  }
  powerCut(seat: Seat, offMs: number): void {
    seat.board.powerCut();
    this.#lost(seat, offMs);
  }
  /** Presses buttons of all boards that are on for a while. */
  pressAll(ms: number): void {
    for (const end = this.nowMs + ms; this.nowMs < end; this.run(30))
      for (const seat of this.seats) this.press(seat);
  }
  get presses(): number {
    return this.seats.reduce((sum, { presses }) => sum + presses, 0);
  }
  /** At the `after`-th erase or program from now. */
  cutAtFlash(seat: Seat, after: number, how: FlashCut): void {
    seat.cut = { operations: seat.operations + after, how };
  }
  cutAtErase(seat: Seat, after: number, how: FlashCut): void {
    seat.cut = { erases: seat.erases + after, how };
  }

  run(ms: number): void {
    for (const end = this.nowMs + ms; this.nowMs < end; ) this.step();
  }
  until(what: string, condition: () => boolean, limitMs = 15_000): void {
    for (const end = this.nowMs + limitMs; !condition(); this.step())
      if (this.nowMs >= end) throw this.violation(`${what}: not within ${limitMs} ms`);
  }
  /** All on, wired, and of one mind. */
  settle(): void {
    this.run(500);
    this.cut.clear();
    for (const seat of this.seats) {
      seat.cut = undefined;
      seat.onAt = Math.min(seat.onAt, this.#steps);
    }
    this.until("one leader, and all applied", () => {
      const states = this.seats
        .filter(({ isOut }) => !isOut)
        .map(({ board, state }) => (board.isOn ? state : undefined));
      const leader = this.leader?.id;
      return states.every(
        (state) =>
          state !== undefined &&
          state.leader === leader &&
          state.applied === this.committed &&
          state.last === state.applied,
      );
    });
    this.#checkKept(1);
  }

  step(): void {
    this.#steps += 1;
    for (const seat of this.seats) {
      const { board } = seat;
      if (!board.isOn && this.#steps >= seat.onAt) board.powerOn();
      if (seat.pressedUntil === this.#steps) board.press(false);
      const wasOn = board.isOn;
      board.advance(STEP_US);
      if (wasOn && !board.isOn) this.#lost(seat, 20 + this.random.below(1500));
    }
    for (const { seat, link, bytes } of this.#arrived.splice(0)) seat.board.receive(link, bytes);
    for (const seat of this.seats) if (seat.board.isOn) this.#look(seat);
  }

  #lost(seat: Seat, offMs: number): void {
    seat.onAt = this.#steps + Math.ceil((offMs * 1000) / STEP_US);
    seat.state = undefined;
    seat.board.press(false);
    seat.pressedUntil = this.#steps;
    seat.deframe[0](Uint8Array.of(0));
    seat.deframe[1](Uint8Array.of(0));
    // What it had applied was in flash, or is again what the leader says.
    seat.checked = 0;
    this.#checkKept(Math.max(1, this.committed - 60));
  }

  #operation(seat: Seat, operation: FlashOperation): FlashCut | undefined {
    seat.operations += 1;
    if (operation.kind === "erase") seat.erases += 1;
    const isErase = operation.kind === "erase" && seat.cut?.erases === seat.erases;
    if (seat.cut === undefined || (!isErase && seat.cut.operations !== seat.operations)) return undefined;
    const { how } = seat.cut;
    seat.cut = undefined;
    this.cutsAtFlash.push(operation);
    return how;
  }

  #sent(seat: Seat, link: 0 | 1, bytes: Uint8Array): void {
    for (const { payload, begun } of seat.deframe[link](bytes)) this.#checkMessage(seat, payload, begun);
    const to = link === 0 ? (seat.id % 3) + 1 : ((seat.id + 1) % 3) + 1;
    if (this.cut.has(`${seat.id}>${to}`) || !this.seat(to).board.isOn) return;
    this.#arrived.push({ seat: this.seat(to), link: link === 0 ? 1 : 0, bytes });
  }

  #checkMessage(seat: Seat, message: Uint8Array, durable: Durable | undefined): void {
    const view = new DataView(message.buffer, message.byteOffset, message.length);
    const [kind, flags] = [view.getUint8(0), view.getUint8(1)];
    // One that it passes on.
    if (view.getUint32(8, true) !== seat.id || (kind <= VOTE_ANSWER && flags & PRE)) return;
    const [to, term, index] = [
      view.getUint32(12, true),
      Number(view.getBigUint64(16, true)),
      Number(view.getBigUint64(24, true)),
    ];
    const said = `${seat.id} says kind ${kind} flags ${flags} of term ${term}, index ${index} to ${to}`;
    if (durable === undefined || durable.term < term)
      throw this.violation(`${said}, and its flash has term ${durable?.term}`);
    const voted = kind === VOTE_REQUEST ? seat.id : kind === VOTE_ANSWER && !(flags & REFUSED) ? to : 0;
    if (voted !== 0) {
      if (durable.term === term && durable.vote !== voted)
        throw this.violation(`${said}, and its flash has a vote for ${durable.vote}`);
      const key = `${seat.id} in ${term}`;
      if ((this.#votes.get(key) ?? voted) !== voted)
        throw this.violation(`${key} voted for ${this.#votes.get(key)} and for ${voted}`);
      this.#votes.set(key, voted);
    }
    const isKept = kind === HEARTBEAT_ANSWER || (kind === APPEND_ANSWER && !(flags & REFUSED));
    if (isKept && durable.term === term && durable.last < index)
      throw this.violation(`${said}, and its flash ends at ${durable.last}`);
    if (durable.term < seat.term)
      throw this.violation(`${seat.id} went from term ${seat.term} back to ${durable.term}`);
    seat.term = durable.term;
  }

  #look(seat: Seat): void {
    const view = seat.board.memory();
    if (view === undefined) return;
    const { node, machine, condition } = this.#boards.module;
    if (seat.isOut) return;
    if (view.getUint32(condition, true) !== 0)
      throw this.violation(`the condition of ${seat.id} is ${view.getUint32(condition, true)}`);
    const before = seat.state;
    const state = readNode(view, node);
    seat.state = state;
    if (state.violations > 0 || state.malformed > 0)
      throw this.violation(`${seat.id} counts ${state.violations} violations, ${state.malformed} malformed`);
    if (state.role === LEADING) {
      const other = this.#leaders.get(state.term) ?? seat.id;
      if (other !== seat.id) throw this.violation(`${other} and ${seat.id} lead in term ${state.term}`);
      this.#leaders.set(state.term, seat.id);
    }
    if (state.commit > seat.checked) this.#checkCommitted(seat, view, state);
    if (state.last !== before?.last || state.term !== before.term || state.commit !== before.commit) {
      seat.pending.clear();
      for (let index = Math.max(state.commit + 1, state.first); index <= state.last; index += 1)
        seat.pending.set(index, readEntry(view, node, index));
    }
    const expected = this.#machines[state.applied];
    if (expected !== undefined && expected !== readMachine(view, machine))
      throw this.violation(`the machine of ${seat.id} at ${state.applied} is not what the entries make it`);
  }

  #checkCommitted(seat: Seat, view: DataView, state: NodeState): void {
    const news = this.committed + 1;
    for (let index = Math.min(news, seat.checked + 1); index <= state.commit; index += 1) {
      const known = this.#committed[index];
      const isHeld = index >= state.first;
      if (known !== undefined && !isHeld) continue;
      // What is not held was committed and compacted between two looks.
      const entry = isHeld ? readEntry(view, this.#boards.module.node, index) : seat.pending.get(index);
      if (known === undefined) {
        if (entry === undefined) throw this.violation(`${index} was committed unseen`);
        this.#committed.push(entry);
        this.#model.apply(entry);
        this.#machines.push(this.#model.hex());
      } else if (known !== entry) throw this.violation(`${index} is ${known}, and at ${seat.id} ${entry}`);
    }
    seat.checked = state.commit;
    this.#checkKept(news);
  }

  /** Committed entries from `index` on are in the flash of a majority. */
  #checkKept(from: number): void {
    const journals = this.seats.map(({ board }) => readJournal(board.journal()));
    for (let index = from; index <= this.committed; index += 1) {
      const holders = journals.filter(
        (durable): durable is Durable =>
          durable !== undefined &&
          (durable.snapshot >= index || durable.entries.get(index) === this.#committed[index]),
      );
      if (holders.length < 2)
        throw this.violation(
          `${index}, committed as ${this.#committed[index]}, is kept by ${holders.length} boards`,
        );
    }
    for (const durable of journals) {
      if (
        durable !== undefined &&
        durable.snapshot <= this.committed &&
        this.#machines[durable.snapshot] !== durable.machine
      )
        throw this.violation(`a snapshot at ${durable.snapshot} is not what the entries make it`);
    }
  }

  violation(what: string): Error {
    const states = this.seats.map(({ id, state }) => `${id}: ${JSON.stringify(state)}`).join("; ");
    return new Error(`seed ${this.#seed} at ${this.nowMs} ms: ${what} (${states})`);
  }
}
