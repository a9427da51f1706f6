/**
 * Faults that must make a test fail. `npm run mutants` puts each into a copy of the repository and runs the
 * named test; a fault that no test notices is a promise that nobody checks. A row's `find` stands exactly
 * once in its file.
 */
export interface Mutant {
  readonly name: string;
  readonly file: string;
  readonly find: string;
  readonly replace: string;
  /** The test file that must fail. */
  readonly test: string;
}

const CRASH = "test/host/store/log-crash.test.ts";
const FAULTS = "test/host/store/log-faults.test.ts";
const RECOVERY = "test/host/store/recovery.test.ts";
const NO_LOSS = "test/host/gateway/no-loss.test.ts";
const SERIAL = "test/host/gateway/serial-link.test.ts";
const PLUGIN = "test/host/gateway/plugin.test.ts";
const PLUGIN_WORKER = "test/host/io/plugin-worker.test.ts";

export const MUTANTS: readonly Mutant[] = [
  {
    name: "no sync of a batch",
    file: "host/store/log-writer.ts",
    find: "    await this.#file.sync();\n",
    replace: "",
    test: CRASH,
  },
  {
    name: "no sync of the folder when a segment gets its name",
    file: "host/store/log-writer.ts",
    find: "    await disk.syncFolder(folder);\n    await this.#file.close();\n",
    replace: "    await this.#file.close();\n",
    test: CRASH,
  },
  {
    name: "no sync of the folder when a segment is removed",
    file: "host/store/log-writer.ts",
    find: "        await disk.syncFolder(folder);\n      } catch",
    replace: "      } catch",
    test: CRASH,
  },
  {
    name: "no sync of the zeros and header of a new segment",
    file: "host/store/spare-segment.ts",
    find: "        await file.sync();\n",
    replace: "",
    test: CRASH,
  },
  {
    name: "no sync of the folders above the log",
    file: "host/store/segment-log.ts",
    find: "await disk.syncFolder(above);",
    replace: "void above;",
    test: CRASH,
  },
  {
    name: "no sync of the folder at the start",
    file: "host/store/segment-log.ts",
    find: "    await disk.syncFolder(folder);\n",
    replace: "",
    test: CRASH,
  },
  {
    name: "no sync of a cut tail and of what a killed process left",
    file: "host/store/recovery.ts",
    find: "  await file.sync();\n",
    replace: "",
    test: CRASH,
  },
  {
    name: "a cut tail is synced only after the start",
    file: "host/store/recovery.ts",
    find: "  await file.sync();\n",
    replace: "  void file.sync();\n",
    test: CRASH,
  },
  {
    name: "a torn tail is not zeroed",
    file: "host/store/recovery.ts",
    find: "file.write(at, new Uint8Array(Math.min(WINDOW_BYTES, to - at)));",
    replace: "void at;",
    test: CRASH,
  },
  {
    name: "a record is called durable before its sync",
    file: "host/store/log-writer.ts",
    find: "    await this.#sync();\n    const done",
    replace:
      "    this.#advance(segment.base + (this.#filled[count - 1] as Batch).position + (this.#filled[count - 1] as Batch).sizeBytes);\n    await this.#sync();\n    const done",
    test: CRASH,
  },
  {
    name: "a failed sync is forgotten",
    file: "host/store/log-writer.ts",
    find: "    this.#failure = error;\n",
    replace: "",
    test: FAULTS,
  },
  {
    name: "no proof at closing",
    file: "host/store/log-writer.ts",
    find: "    if (this.#failure === undefined && !this.#proven) {\n",
    replace: "    if (this.#failure === undefined && this.#proven) {\n",
    test: RECOVERY,
  },
  {
    name: "no proof after idle time",
    file: "host/store/log-writer.ts",
    find: "    const prove = (): void => {\n      this.#proofWanted = true;",
    replace: "    const prove = (): void => {\n      this.#proofWanted = false;",
    test: RECOVERY,
  },
  {
    name: "damage below a proof passes for a torn tail",
    file: "host/store/recovery.ts",
    find: "batch.proven > segment.base + damage.from",
    replace: "batch.proven > segment.base + damage.to",
    test: RECOVERY,
  },
  {
    name: "batches are not bound to their place",
    file: "host/store/segment.ts",
    find: "  saltView.setUint32(12, position, true);\n",
    replace: "",
    test: "test/host/store/segment.test.ts",
  },
  {
    name: "no fdatasync on the machine's disk",
    file: "host/io/disk.ts",
    find: "      await fdatasyncAsync(this.#descriptor);\n",
    replace: "",
    test: "test/host/io/disk.test.ts",
  },
  {
    name: "no fsync of folders on the machine's disk",
    file: "host/io/disk.ts",
    find: "      await fsyncAsync(descriptor);\n",
    replace: "",
    test: "test/host/io/disk.test.ts",
  },
  {
    name: "wrong CRC table",
    file: "protocols/crc.ts",
    find: "0xedb88320",
    replace: "0xedb88321",
    test: "test/protocols/crc.test.ts",
  },
  {
    name: "an acknowledgement is sent before its message is on disk",
    file: "host/gateway/ingest.ts",
    find: "    this.totals.accepted += 1;\n",
    replace:
      "    this.totals.accepted += 1;\n    if (synced(session, message)) this.#ackDue.add(session);\n    this.#flushAcks();\n",
    test: NO_LOSS,
  },
  {
    name: "deduplication is forgotten",
    file: "host/gateway/session.ts",
    find: '  if (seq < next) return "duplicate";\n',
    replace: '  if (seq < next) return "accept";\n',
    test: NO_LOSS,
  },
  {
    name: "watermarks are not restored before devices are served",
    file: "host/gateway/gateway.ts",
    find: "this.#ingest.sessions.set(row.id, sessionOf(row));",
    replace: "sessionOf(row);",
    test: NO_LOSS,
  },
  {
    name: "a newer boot is entered without asking whether the older one is complete",
    file: "host/gateway/session.ts",
    find: '  if (boot > session.boot) return "newerBoot";\n',
    replace: '  if (boot > session.boot && seq === 1) return "accept";\n',
    test: "test/host/gateway/session.test.ts",
  },
  {
    name: "a forwarded packet is sent before it is on disk",
    file: "host/gateway/forwarder-journal.ts",
    find: "      await this.#file.sync();\n",
    replace: "",
    test: "test/host/gateway/forwarder-exactly-once.test.ts",
  },
  {
    name: "the forwarder's journal is not held by its folder's folder",
    file: "host/gateway/forwarder-journal.ts",
    find: "  for (const above of foldersAbove(folder)) await disk.syncFolder(above);\n",
    replace: "",
    test: "test/host/gateway/forwarder-exactly-once.test.ts",
  },
  {
    name: "the emulated Pico programs bits that an erase alone may set",
    file: "boards/simulators/pico/flash.ts",
    find: "return (this.bytes[at] as number) & byte;",
    replace: "return byte;",
    test: "test/boards/pico/flash.test.ts",
  },
  {
    name: "the emulated Pico tears no flash when the power goes",
    file: "boards/simulators/pico/board.ts",
    find: "if (machine !== undefined) this.#flash.tear(machine.clock.nanos);",
    replace: "if (machine !== undefined) this.#flash.complete();",
    test: "test/boards/pico/flash.test.ts",
  },
  {
    name: "the emulated Pico boots whatever boot2 says",
    file: "boards/simulators/pico/flash-rom.ts",
    find: "if (!boot2Valid(boot2)) usbBoot(true);",
    replace: "if (!boot2Valid(boot2) && boot2[0] === 0) usbBoot(true);",
    test: "test/boards/pico/board.test.ts",
  },
  {
    name: "the emulated Pico reads flash with a stale cache",
    file: "boards/simulators/pico/xip.ts",
    find: "!this.#busy && !this.#stale;",
    replace: "!this.#busy;",
    test: "test/boards/pico/strict.test.ts",
  },
  {
    name: "the emulated Pico sleeps through a pending interrupt",
    file: "boards/simulators/pico/machine.ts",
    find: "    core.waiting = false;\n    core.interruptsUpdated = true;\n",
    replace: "",
    test: "test/boards/pico/board.test.ts",
  },
  {
    name: "the emulated Pico calls for more bytes below the trigger",
    file: "boards/simulators/pico/uart.ts",
    find: "if (this.#transmitFifo.length === this.#trigger(0))",
    replace: "if (this.#transmitFifo.length <= this.#trigger(0))",
    test: "test/boards/pico/board.test.ts",
  },
  {
    name: "the emulated Pico's RAM is what it was after a power cut",
    file: "boards/simulators/pico/board.ts",
    find: "      words[index] = random();\n",
    replace: "      words[index] ??= random();\n",
    test: "test/boards/pico/board.test.ts",
  },
  {
    name: "native code stores without a check of bounds",
    file: "firmware/port/wasm/module.h",
    find: "  if (misses(address, 4, 2)) slow_store(address, value, 4);\n  else CELL(cell32, address) = value;",
    replace: "  CELL(cell32, address) = value;",
    test: "test/conform/board.test.ts",
  },
  {
    name: "a recursion in an app does not ask for the stack",
    file: "boards/toolchain/native/translate.ts",
    find: 'recursive ? "STACK_CHECK;" : ""',
    replace: '""',
    test: "test/conform/board.test.ts",
  },
  {
    name: "the toolchain does not count the accesses it rewrote",
    file: "boards/toolchain/native/translate.ts",
    find: "if (accesses !== facts.accesses)",
    replace: "if (accesses < 0)",
    test: "test/boards/native/toolchain.test.ts",
  },
  {
    name: "the base runs an image whatever its CRC",
    file: "firmware/port/common/base.c",
    find: 'at->crc ? 0 : "CRC"',
    replace: "at->crc ? 0 : 0",
    test: "test/boards/native/toolchain.test.ts",
  },
  {
    name: "ties round up",
    file: "firmware/port/cortex-m0plus/float-pack.c",
    find: "  if (rest == 0x200) significand &= ~1ull;\n",
    replace: "",
    test: "test/firmware/float.test.ts",
  },
  {
    name: "a new sector of the journal counts before it has the values",
    file: "firmware/port/common/journal.c",
    find: "    uint32_t at = 1;\n    bool good = true;\n",
    replace: "    uint32_t at = 1;\n    bool good = put(into, 0, MAGIC, generation + 1, 0);\n",
    test: "test/boards/native/journal.test.ts",
  },
  {
    name: "an erase without telling the gateway to wait",
    file: "firmware/system/link.ts",
    find: "eraseAt == NEVER ? LINK_WINDOW_FRAMES : 0",
    replace: "LINK_WINDOW_FRAMES",
    test: "test/boards/native/journal.test.ts",
  },
  {
    name: "a reset forgets the open batch",
    file: "firmware/system/index.ts",
    find: "  if (kept) batchRecover();\n",
    replace: "",
    test: "test/boards/virtual-board.test.ts",
  },
  {
    name: "a gateway does not learn the session of a running device",
    file: "protocols/link.ts",
    find: "      this.#peerSession = frame.session;\n",
    replace: "",
    test: "test/protocols/link.test.ts",
  },
  {
    name: "credits after a hold are said once, whatever happens to the receipt",
    file: "protocols/link.ts",
    find: "    if (this.#raised) this.#receiptDue = true;\n",
    replace: "",
    test: "test/protocols/link.test.ts",
  },
  {
    name: "a serial device keeps its credits while the disk is full",
    file: "host/gateway/ledger.ts",
    find: ' && this.log.state === "ok";\n',
    replace: ";\n",
    test: SERIAL,
  },
  {
    name: "a silent serial port is left open",
    file: "host/gateway/serial-link.ts",
    find: "    if (nowMs >= open.heardMs + silenceMs) {\n",
    replace: "    if (nowMs < 0) {\n",
    test: SERIAL,
  },
  {
    name: "messages for a device at a serial port go to the broker too",
    file: "host/gateway/gateway.ts",
    find: "    if (this.#links.send(device, message)) return;\n",
    replace: "    this.#links.send(device, message);\n",
    test: SERIAL,
  },
  {
    name: "a plugin's memory has no maximum",
    file: "host/io/plugin-worker.ts",
    find: "await WebAssembly.compile(limited.bytes)",
    replace: "await WebAssembly.compile(Uint8Array.from(bytes))",
    test: PLUGIN_WORKER,
  },
  {
    name: "a larger maximum of a plugin's memory stays",
    file: "host/io/wasm-limits.ts",
    find: "Math.min(maximum ?? memoryPagesMax, memoryPagesMax)",
    replace: "maximum ?? memoryPagesMax",
    test: "test/host/io/wasm-limits.test.ts",
  },
  {
    name: "a plugin past its time is not ended",
    file: "host/io/plugin-worker.ts",
    find: "was ended.`));\n      this.#end(thread);\n",
    replace: "was ended.`));\n",
    test: PLUGIN_WORKER,
  },
  {
    name: "a plugin that trapped is not made anew",
    file: "host/io/plugin-thread.ts",
    find: 'if (failure.type === "failure" && failure.isOver) plugin = made(library);',
    replace: 'if (failure.type === "failure" && failure.isOver) say({ type: "ready" });',
    test: PLUGIN_WORKER,
  },
  {
    name: "a component with imports is taken for a plugin",
    file: "host/io/plugin-transpile-process.ts",
    find: "    if (imports.length > 0) {\n",
    replace: "    if (imports.length > 9) {\n",
    test: PLUGIN_WORKER,
  },
  {
    name: "a plugin's numbers are not looked at",
    file: "host/gateway/plain/plugin-output.ts",
    find: 'typeof value !== "number" || !Number.isFinite(value)',
    replace: 'typeof value !== "number"',
    test: PLUGIN,
  },
  {
    name: "a plugin publishes where only the gateway may",
    file: "host/gateway/plain/plugin-output.ts",
    find: "/^(?:tardi$|tardi\\/|\\$)/.test(topic)",
    replace: 'topic === ""',
    test: PLUGIN,
  },
  {
    name: "a plugin that fails again and again is started for each message",
    file: "host/gateway/plain/plugin-decoder.ts",
    find: "isFailure: (error) => FAILURES.has(codeOf(error)),",
    replace: "isFailure: () => false,",
    test: PLUGIN,
  },
  {
    name: "a plugin's queue has no bound",
    file: "host/gateway/plain/plugin-decoder.ts",
    find: "    if (this.#waiting >= QUEUE_MAX) {",
    replace: "    if (this.#waiting < 0) {",
    test: PLUGIN,
  },
];
