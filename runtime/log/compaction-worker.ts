/**
 * What the thread of a compaction runs. It calls no foreign functions, since it may be ended at any moment: to end a thread
 * that is loading koffi ends the whole process of Node with SIGABRT.
 */
import os from 'node:os';
import process from 'node:process';
import { compact } from '../../core/log/compaction.ts';
import { DirectoryDisk } from '../disk/directory.ts';
import { createEngine } from '../engine.ts';
import { thisWorker } from '../workers.ts';
import { failureOf } from './damage.ts';
import type { CompactionOrder, CompactionReport } from './keeper.ts';

/** So that those that serve come first. */
const NICENESS = 10;

const { data, post } = thisWorker<CompactionOrder, never, CompactionReport>();

try {
  // Elsewhere it would be that of the whole process.
  if (process.platform === 'linux') os.setPriority(0, NICENESS);
} catch {
  // It takes turns with the others then.
}
try {
  const engine = await createEngine(data.engine, { redo: true, slots: data.slots });
  const snapshot = await compact(new DirectoryDisk(data.directory), engine, data.position);
  post({ kind: 'done', snapshot });
} catch (error) {
  post({ kind: 'failed', failure: failureOf(error) });
}
