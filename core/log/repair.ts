/**
 * Repair: cutting a damaged log where its damage begins. What lies before is kept, everything behind it is set aside: records
 * after a missing one can't be executed without giving wrong values. It is asked for by a person, who is told first what the
 * log will lose.
 */
import type { Disk } from './disk.ts';
import { LogError } from './errors.ts';
import { SEGMENT_HEADER_BYTES } from './format.ts';
import { type LogReader, readLog } from './read-log.ts';
import { countRecords } from './records.ts';
import {
  brokenName,
  closing,
  fileBytes,
  fileName,
  type LogFile,
  listFiles,
  prepareSegment,
  writeAside,
} from './segments.ts';

/** What a repair would do. */
export interface RepairPlan {
  /** What is wrong, and where. */
  readonly damage: LogError;
  /** What the log loses: segments in order, then snapshots. */
  readonly losses: readonly Loss[];
  /** Index of the segment that is the last one then. */
  readonly lastSegment: number;
}

/** What the log loses of a file. */
export interface Loss {
  readonly file: LogFile;
  /** Where it begins: 0 when all of the file goes. Unit: bytes. */
  readonly offset: number;
  readonly bytes: number;
  /** Whole records in it; a snapshot has none. */
  readonly records: number;
}

const NOBODY: LogReader = { payload: () => {}, record: () => {} };

/** Finds out what is wrong with a shard's log; undefined when nothing is. It changes nothing. */
export async function planRepair(disk: Disk): Promise<RepairPlan | undefined> {
  let damage: LogError;
  try {
    await readLog(disk, NOBODY);
    return undefined;
  } catch (error) {
    if (!(error instanceof LogError)) throw error;
    damage = error;
  }
  const files = await listFiles(disk);
  // A snapshot that nothing can replace costs everything.
  const isAll = damage.file.endsWith('.snapshot');
  const lastSegment = isAll ? 1 : Number.parseInt(damage.file, 10);
  const cutOffset = isAll || damage.offset <= SEGMENT_HEADER_BYTES ? 0 : damage.offset;
  const segments = files.filter(({ kind, index }) => kind === 'log' && index >= lastSegment);
  // One that lies behind the cut is damaged as well, or what comes before it would not have been read.
  const snapshots = files.filter(({ kind, index }) => kind === 'snapshot' && (isAll || index > lastSegment));
  const losses: Loss[] = [];
  for (const file of [...segments, ...snapshots]) {
    const offset = file.kind === 'log' && file.index === lastSegment ? cutOffset : 0;
    const bytes = (await fileBytes(disk, file.name)) - offset;
    const records = file.kind === 'log' ? await countRecords(disk, file, offset) : 0;
    losses.push({ file, offset, bytes, records });
  }
  return { damage, losses, lastSegment };
}

/** Does what a plan says. After a crash, plan and do it again. */
export async function repair(disk: Disk, { losses, lastSegment }: RepairPlan): Promise<void> {
  // The last first: so what remains at any time is the same log with the same damage. Were a segment gone before a snapshot
  // behind the cut, the damage of that would be what nothing can replace.
  for (const { file, offset, bytes } of [...losses].reverse()) {
    if (offset === 0) await disk.rename(file.name, await brokenName(disk, file.index));
    else {
      await closing(await disk.open(file.name), async (opened) => {
        const tail = new Uint8Array(bytes);
        await opened.read(offset, tail);
        await writeAside(disk, file.index, withoutZeros(tail));
        await opened.truncate(offset);
        await opened.sync();
      });
    }
    await disk.syncDirectory();
  }
  const names = await disk.list();
  if (!names.includes(fileName(lastSegment, 'log'))) await prepareSegment(disk, lastSegment, SEGMENT_HEADER_BYTES);
}

/** The segment was full of zeros beforehand, and what was not written since is not worth its space. */
function withoutZeros(bytes: Uint8Array): Uint8Array {
  return bytes.subarray(0, bytes.findLastIndex((byte) => byte !== 0) + 1);
}
