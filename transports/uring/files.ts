/** Writing files through the ring: a write, and a sync linked to it that starts when all of it was written. */
import { systemError } from '../../runtime/ffi/libc.ts';
import type { FileWriter } from '../transport.ts';
import { EAGAIN, ECANCELED, EINTR, EIO, IOSQE_IO_LINK } from './constants.ts';
import type { Loop, Target } from './loop.ts';
import { prepFdatasync, prepWrite, sqeSetFlags } from './prep.ts';

// What completions are about.
const WRITE = 1;
const SYNC = 2;

export class UringFiles implements FileWriter {
  readonly #loop: Loop;
  isOpen = true;
  #underWay = 0;
  #idle: (() => void) | undefined;

  constructor(loop: Loop) {
    this.#loop = loop;
  }

  write(descriptor: number, offset: number, bytes: Uint8Array, sync: boolean, done: (error?: Error) => void): void {
    this.#underWay++;
    new FileWrite(this.#loop, descriptor, offset, bytes, sync, (error) => {
      done(error);
      this.#underWay--;
      if (this.#idle === undefined || this.#underWay > 0) return;
      this.#idle();
      this.#loop.returnSoon();
    });
    this.#loop.start();
  }

  /** Resolves when nothing is being written. Nothing more MUST be. */
  async close(): Promise<void> {
    this.isOpen = false;
    if (this.#underWay === 0) return;
    await new Promise<void>((resolve) => {
      this.#idle = resolve;
    });
  }
}

class FileWrite implements Target {
  readonly #loop: Loop;
  readonly #descriptor: number;
  readonly #bytes: Uint8Array;
  readonly #sync: boolean;
  readonly #done: (error?: Error) => void;
  readonly #target: number;
  #offset: number;
  #address: number;
  #left: number;
  #isSynced = false;
  #underWay = 0;
  #error: Error | undefined;

  constructor(
    loop: Loop,
    descriptor: number,
    offset: number,
    bytes: Uint8Array,
    sync: boolean,
    done: (error?: Error) => void,
  ) {
    this.#loop = loop;
    this.#descriptor = descriptor;
    this.#offset = offset;
    // Kept, so that they are not collected while the kernel reads them.
    this.#bytes = bytes;
    this.#address = bytes.length === 0 ? 0 : loop.libc.ffi.addressOf(this.#bytes);
    this.#left = bytes.length;
    this.#sync = sync;
    this.#done = done;
    this.#target = loop.register(this);
    this.#queue();
  }

  complete(what: number, result: number): void {
    this.#underWay--;
    if (what === WRITE) this.#wrote(result);
    else this.#synced(result);
    if (this.#underWay > 0) return;
    // A write that is cut short cancels the sync that is linked to it.
    if (this.#error === undefined && (this.#left > 0 || this.#sync !== this.#isSynced)) this.#queue();
    else {
      this.#loop.unregister(this.#target);
      this.#done(this.#error);
    }
  }

  #queue(): void {
    const { sqes } = this.#loop.ring;
    this.#loop.reserveSqes(2);
    if (this.#left > 0) {
      const sqe = this.#loop.sqe();
      prepWrite(sqes, sqe, this.#descriptor, this.#address, this.#left, this.#offset);
      if (this.#sync) sqeSetFlags(sqes, sqe, IOSQE_IO_LINK);
      this.#loop.tag(sqe, this.#target, WRITE);
      this.#underWay++;
    }
    if (!this.#sync) return;
    const sqe = this.#loop.sqe();
    prepFdatasync(sqes, sqe, this.#descriptor);
    this.#loop.tag(sqe, this.#target, SYNC);
    this.#underWay++;
  }

  #wrote(result: number): void {
    if (result > 0) {
      this.#offset += result;
      this.#address += result;
      this.#left -= result;
    } else if (result !== -EINTR && result !== -EAGAIN && result !== -ECANCELED) {
      // A write of nothing is none that would ever end.
      this.#error ??= systemError('write', result === 0 ? -EIO : result);
    }
  }

  #synced(result: number): void {
    if (result >= 0) this.#isSynced = true;
    else if (result !== -ECANCELED) this.#error ??= systemError('fdatasync', result);
  }
}
