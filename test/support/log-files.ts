/** A log of some segments and records as its files, to be damaged. */
import { crc32 } from 'node:zlib';
import type { Engine } from '../../core/engine/engine.ts';
import { createMapEngine } from '../../core/engine/map.ts';
import type { Disk, DiskFile } from '../../core/log/disk.ts';
import { SEGMENT_HEADER_BYTES } from '../../core/log/format.ts';
import { Log } from '../../core/log/log.ts';
import { prepareSegment } from '../../core/log/segments.ts';
import { Op } from '../../core/protocol.ts';
import { array, concat, encode, hex } from './bytes.ts';
import { Random } from './random.ts';
import { SimulatedMachine } from './simulated-disk.ts';

/** A log that was synced after every record. */
export interface WrittenLog {
  readonly files: ReadonlyMap<string, Uint8Array>;
  /** What `stateOf` gives after each record, the state before the first included. */
  readonly states: readonly string[];
  /** The body of each record. */
  readonly bodies: readonly Uint8Array[];
}

export const KEYS = ['a', 'b', 'c', 'n'];

/** All there is to know of an engine that has only these keys. */
export function stateOf(engine: Engine, nowMs = 1): string {
  const questions = KEYS.flatMap((key) => [encode([Op.GET, key]), encode([Op.TTL, key])]);
  return hex(run(engine, array([encode([Op.COUNT]), ...questions]), nowMs).reply);
}

/**
 * Executes a payload. Without the checks of `execute` in engines.ts: each `expect` takes longer than what thousands of cases are
 * looked at for.
 */
export function run(engine: Engine, payload: Uint8Array, nowMs: number): { reply: Uint8Array; redo: Uint8Array } {
  const offset = engine.reserveInput(payload.length);
  engine.memory.set(payload, offset);
  engine.execute(offset, payload.length, nowMs);
  const reply = engine.memory.slice(engine.outputOffset, engine.outputOffset + engine.outputBytes);
  const redo = engine.redo().slice();
  engine.clearOutput();
  return { reply, redo };
}

/** Writes so many records, each of which changes the state, over segments of so many bytes of records. */
export async function writeLog(records: number, segmentRecordBytes: number): Promise<WrittenLog> {
  const random = new Random(records);
  const { disk } = new SimulatedMachine(random);
  const segmentBytes = SEGMENT_HEADER_BYTES + segmentRecordBytes;
  const engine = createMapEngine({ redo: true });
  const states = [stateOf(engine)];
  const bodies: Uint8Array[] = [];
  let syncs: (() => void)[] = [];
  const prepare = async (index: number) => {
    const { name, ...segment } = await prepareSegment(disk, index, segmentBytes);
    return { ...segment, file: disk.openForCommits(name, (sync) => syncs.push(sync)) };
  };
  const log = new Log(await prepare(1), { sequence: 0, checksum: 0 }, crc32);
  for (let record = 1; record <= records; record++) {
    if (log.needsSegment) log.addSegment(await prepare(log.segment.index + 1));
    const key = random.pick(KEYS.slice(0, 3));
    const change = random.chance(0.3) ? [Op.ADD, 'n', 1] : [Op.SET, key, random.bytes(random.between(1, 20))];
    const { redo } = run(engine, array([encode(change)]), 1);
    log.append(redo, 1);
    bodies.push(concat(new Uint8Array([0xce, 0, 0, 0, redo.length]), redo));
    log.endTurn();
    states.push(stateOf(engine));
    for (let batch = log.take(); batch !== undefined; batch = log.take()) {
      batch.segment.file.commit(batch.offset, batch.bytes, true, () => {});
      log.settle(batch);
    }
    for (const sync of syncs) sync();
    syncs = [];
    log.synced(log.sequence);
  }
  const files = await filesOf(disk);
  return { files, states, bodies };
}

export async function filesOf(disk: Disk): Promise<Map<string, Uint8Array>> {
  const files = new Map<string, Uint8Array>();
  for (const name of await disk.list()) {
    const file = await disk.open(name);
    const bytes = new Uint8Array(await file.size());
    await file.read(0, bytes);
    files.set(name, bytes);
  }
  return files;
}

/** A disk that holds these files and never another one. */
export class FixedDisk implements Disk {
  readonly path = 'fixed';
  readonly crc32 = crc32;
  readonly #files: ReadonlyMap<string, Uint8Array>;

  constructor(files: ReadonlyMap<string, Uint8Array>) {
    this.#files = files;
  }

  async list(): Promise<string[]> {
    return [...this.#files.keys()];
  }

  async open(name: string): Promise<DiskFile> {
    const content = this.#files.get(name)!;
    return {
      name,
      descriptor: undefined,
      size: async () => content.length,
      read: async (offset, into) => {
        const bytes = content.subarray(offset, offset + into.length);
        into.set(bytes);
        return bytes.length;
      },
      write: refuse,
      truncate: refuse,
      sync: refuse,
      close: async () => {},
    };
  }

  rename = refuse;
  remove = refuse;
  syncDirectory = refuse;
}

async function refuse(): Promise<never> {
  throw new Error('nothing is to be changed');
}
