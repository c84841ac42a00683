/**
 * A disk that keeps what a real one promises and nothing more. What was not synced when the power goes is applied, dropped or
 * torn, by sectors, as a seed says; names that were not synced are the former ones. Bytes that a failed sync should have
 * written count as written from then on, as Linux has it: a later sync succeeds without them.
 */
import { crc32 } from 'node:zlib';
import type { CommitFile, Disk, DiskFile } from '../../core/log/disk.ts';
import type { Random } from './random.ts';

const SECTOR_BYTES = 512;

/** The machine has stopped: nothing that was under way goes on. */
export class StoppedError extends Error {
  override readonly name = 'StoppedError';
}

/** What the disk answers when a test lets something fail. */
export class DiskFault extends Error {
  override readonly name = 'DiskFault';
  readonly code: string;

  constructor(message: string, code = 'EIO') {
    super(message);
    this.code = code;
  }
}

/** A write or a change of length that was not synced yet. */
type Change = { readonly offset: number; readonly bytes: Uint8Array } | { readonly length: number };

/** A file's content, whatever names it has. */
class Inode {
  /** What a program sees. */
  live = new Uint8Array();
  /** What is on the disk for certain. */
  durable = new Uint8Array();
  changes: Change[] = [];

  change(change: Change): void {
    this.live = applied(this.live, change);
    this.changes.push(change);
  }

  sync(): void {
    this.durable = this.live.slice();
    this.changes = [];
  }

  /** As the power goes, or as a sync fails: any part of what was not synced is on the disk. */
  settle(random: Random): void {
    for (const change of this.changes) {
      const fate = random.below(3);
      if ('length' in change) {
        if (fate > 0) this.durable = applied(this.durable, change);
      } else if (fate === 0) this.durable = applied(this.durable, change);
      else if (fate === 1) this.#tear(change.offset, change.bytes, random);
    }
    this.changes = [];
  }

  #tear(offset: number, bytes: Uint8Array, random: Random): void {
    for (let start = 0; start < bytes.length; ) {
      const end = Math.min(bytes.length, start + SECTOR_BYTES - ((offset + start) % SECTOR_BYTES));
      const sector = { offset: offset + start, bytes: bytes.subarray(start, end) };
      if (random.chance(0.5)) this.durable = applied(this.durable, sector);
      start = end;
    }
  }
}

function applied(content: Uint8Array<ArrayBuffer>, change: Change): Uint8Array<ArrayBuffer> {
  const length = 'length' in change ? change.length : Math.max(content.length, change.offset + change.bytes.length);
  let result = content;
  if (length !== content.length) {
    result = new Uint8Array(length);
    result.set(content.subarray(0, length));
  }
  if ('bytes' in change) result.set(change.bytes, change.offset);
  return result;
}

/** What a test can have go wrong that should not. */
export interface PlantedBugs {
  /** Syncs of files do nothing, and say that they did. */
  readonly skipsSync?: boolean;
  readonly skipsDirectorySync?: boolean;
}

/** What remains when the machine stops: the files. `disk` is how a process that runs on it now sees them. */
export class SimulatedMachine {
  readonly #random: Random;
  readonly #bugs: PlantedBugs;
  #names = new Map<string, Inode>();
  #durableNames = new Map<string, Inode>();
  /** Which names there were after each change since the last sync of the directory. */
  #unsyncedNames: Map<string, Inode>[] = [];
  /** How probable it is that a write or a sync of a file fails. */
  faultProbability = 0;
  /** How long all files together may become. Unit: bytes. */
  capacityBytes = Infinity;
  disk: SimulatedDisk;

  constructor(random: Random, bugs: PlantedBugs = {}) {
    this.#random = random;
    this.#bugs = bugs;
    this.disk = new SimulatedDisk(this);
  }

  get names(): ReadonlyMap<string, Inode> {
    return this.#names;
  }

  /** The process ends, the machine goes on: what was written can be read. */
  killProcess(): void {
    this.disk.stop();
    this.disk = new SimulatedDisk(this);
  }

  /** The machine ends and starts again. */
  losePower(): void {
    this.killProcess();
    const states = [this.#durableNames, ...this.#unsyncedNames];
    this.#names = this.#random.pick(states);
    this.#durableNames = this.#names;
    this.#unsyncedNames = [];
    for (const inode of new Set(this.#names.values())) {
      inode.settle(this.#random);
      inode.live = inode.durable.slice();
    }
  }

  inode(name: string): Inode {
    const inode = this.#names.get(name);
    if (inode === undefined) throw new Error(`${name} does not exist`);
    return inode;
  }

  changeNames(change: (names: Map<string, Inode>) => void): void {
    const names = new Map(this.#names);
    change(names);
    this.#names = names;
    this.#unsyncedNames.push(names);
  }

  syncNames(): void {
    if (this.#bugs.skipsDirectorySync) return;
    this.#durableNames = this.#names;
    this.#unsyncedNames = [];
  }

  /** Puts a file there, as if it had always been there. */
  put(name: string, content: Uint8Array): void {
    const inode = new Inode();
    inode.change({ offset: 0, bytes: content.slice() });
    inode.sync();
    this.#names = new Map(this.#names).set(name, inode);
    this.#durableNames = this.#names;
  }

  /** What flips a bit of a file that was synced, where the file has other bytes than zeros, and then flips it back. */
  flipper(name: string): () => void {
    const { live, durable } = this.inode(name);
    const at = this.#random.below(live.findLastIndex((byte) => byte !== 0) + 1);
    const bit = 1 << this.#random.below(8);
    return () => {
      live[at]! ^= bit;
      durable[at]! ^= bit;
    };
  }

  write(inode: Inode, offset: number, bytes: Uint8Array): Error | undefined {
    const room = inode.live.length + this.#freeBytes() - offset;
    if (room < bytes.length) {
      if (room > 0) inode.change({ offset, bytes: bytes.slice(0, room) });
      return new DiskFault('the disk is full', 'ENOSPC');
    }
    if (!this.#failsNow()) {
      inode.change({ offset, bytes: bytes.slice() });
      return undefined;
    }
    // A part of it was written, and nobody knows which.
    inode.change({ offset, bytes: bytes.slice(0, this.#random.below(bytes.length + 1)) });
    return new DiskFault('a write failed');
  }

  sync(inode: Inode): Error | undefined {
    if (this.#bugs.skipsSync) return undefined;
    if (!this.#failsNow()) {
      inode.sync();
      return undefined;
    }
    inode.settle(this.#random);
    return new DiskFault('a sync failed');
  }

  #freeBytes(): number {
    if (this.capacityBytes === Infinity) return Infinity;
    let usedBytes = 0;
    for (const { live } of this.#names.values()) usedBytes += live.length;
    return Math.max(0, this.capacityBytes - usedBytes);
  }

  #failsNow(): boolean {
    return this.faultProbability > 0 && this.#random.chance(this.faultProbability);
  }
}

class SimulatedDisk implements Disk {
  readonly path = 'simulated';
  readonly crc32 = crc32;
  readonly #machine: SimulatedMachine;
  /** Operations until the machine stops by itself. */
  #operationsLeft = Infinity;

  constructor(machine: SimulatedMachine) {
    this.#machine = machine;
  }

  /** Nothing that is under way goes on, and nothing more begins. */
  stop(): void {
    this.#operationsLeft = 0;
  }

  /** Lets the machine stop by itself after so many operations. */
  stopAfter(operations: number): void {
    this.#operationsLeft = operations;
  }

  get isStopped(): boolean {
    return this.#operationsLeft <= 0;
  }

  list(): Promise<string[]> {
    return this.operate(() => [...this.#machine.names.keys()]);
  }

  open(name: string, { create = false } = {}): Promise<DiskFile> {
    return this.operate(() => {
      if (create) {
        if (this.#machine.names.has(name)) throw new Error(`${name} exists`);
        this.#machine.changeNames((names) => names.set(name, new Inode()));
      }
      return new SimulatedFile(this, this.#machine, name);
    });
  }

  rename(from: string, to: string): Promise<void> {
    return this.operate(() => {
      const inode = this.#machine.inode(from);
      this.#machine.changeNames((names) => {
        names.delete(from);
        names.set(to, inode);
      });
    });
  }

  remove(name: string): Promise<void> {
    return this.operate(() => {
      this.#machine.inode(name);
      this.#machine.changeNames((names) => names.delete(name));
    });
  }

  syncDirectory(): Promise<void> {
    return this.operate(() => this.#machine.syncNames());
  }

  /** Opens a file to be committed to. A sync returns when the test calls what it gives to `later`. */
  openForCommits(name: string, later: (sync: () => void) => void): CommitFile {
    const inode = this.#machine.inode(name);
    return {
      commit: (offset, bytes, sync, done) => {
        if (this.isStopped) return;
        const error = this.#machine.write(inode, offset, bytes);
        if (error !== undefined || !sync) done(error);
        else {
          later(() => {
            if (!this.isStopped) done(this.#machine.sync(inode));
          });
        }
      },
      close: () => {},
    };
  }

  /** Does something, unless the machine has stopped. Others run before, as they do while a real disk works. */
  async operate<T>(act: () => T): Promise<T> {
    if (this.isStopped) throw new StoppedError('the machine has stopped');
    this.#operationsLeft--;
    await Promise.resolve();
    if (this.isStopped) throw new StoppedError('the machine has stopped');
    return act();
  }
}

class SimulatedFile implements DiskFile {
  readonly name: string;
  readonly descriptor = undefined;
  readonly #disk: SimulatedDisk;
  readonly #machine: SimulatedMachine;
  readonly #inode: Inode;

  constructor(disk: SimulatedDisk, machine: SimulatedMachine, name: string) {
    this.name = name;
    this.#disk = disk;
    this.#machine = machine;
    this.#inode = machine.inode(name);
  }

  size(): Promise<number> {
    return this.#disk.operate(() => this.#inode.live.length);
  }

  read(offset: number, into: Uint8Array): Promise<number> {
    return this.#disk.operate(() => {
      const bytes = this.#inode.live.subarray(offset, offset + into.length);
      into.set(bytes);
      return bytes.length;
    });
  }

  write(offset: number, bytes: Uint8Array): Promise<void> {
    return this.#disk.operate(() => throwAny(this.#machine.write(this.#inode, offset, bytes)));
  }

  truncate(length: number): Promise<void> {
    return this.#disk.operate(() => this.#inode.change({ length }));
  }

  sync(): Promise<void> {
    return this.#disk.operate(() => throwAny(this.#machine.sync(this.#inode)));
  }

  async close(): Promise<void> {}
}

function throwAny(error: Error | undefined): void {
  if (error) throw error;
}
