/**
 * Writing files through the ring. What makes its own bytes durable is one request (`RWF_DSYNC`); what makes durable all of the
 * file is a write, and a sync linked to it that starts when all of it was written. Both are for a thread of the kernel's, and
 * between two that are linked it waits until the ring's thread is back in the kernel, and then for a core: with one client
 * process beside it that took as long again as the sync itself, on two cores.
 */
import { systemError } from '../../runtime/ffi/libc.ts';
import type { Durable, FileWriter } from '../transport.ts';
import { EAGAIN, ECANCELED, EINTR, EIO, IOSQE_IO_LINK, RWF_DSYNC } from './constants.ts';
import type { Loop, Target } from './loop.ts';
import { prepFdatasync, prepWrite, sqeSetFlags } from './prep.ts';

// What completions are about.
const WRITE = 1;
const SYNC = 2;

export class UringFiles implements FileWriter {
  readonly #loop: Loop;
  isOpen = true;
  #underWay = 0;
  #idle: () => void = () => {};

  constructor(loop: Loop) {
    this.#loop = loop;
  }

  write(descriptor: number, offset: number, bytes: Uint8Array, durable: Durable, done: (error?: Error) => void): void {
    this.#underWay++;
    new FileWrite(this.#loop, descriptor, offset, bytes, durable, (error) => {
      done(error);
      this.#underWay--;
      if (this.isOpen || this.#underWay > 0) return;
      this.#idle();
      this.#loop.returnSoon();
    });
    this.#loop.start();
  }

  /** `idle` is called, perhaps at once, when nothing is being written. Nothing more MUST be. */
  close(idle: () => void): void {
    this.isOpen = false;
    this.#idle = idle;
    if (this.#underWay === 0) idle();
  }
}

class FileWrite implements Target {
  readonly #loop: Loop;
  readonly #descriptor: number;
  readonly #bytes: Uint8Array;
  readonly #durable: Durable;
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
    durable: Durable,
    done: (error?: Error) => void,
  ) {
    this.#loop = loop;
    this.#descriptor = descriptor;
    this.#offset = offset;
    // Kept, so that they are not collected while the kernel reads them.
    this.#bytes = bytes;
    this.#address = bytes.length === 0 ? 0 : loop.libc.ffi.addressOf(this.#bytes);
    this.#left = bytes.length;
    this.#durable = durable;
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
    if (this.#error === undefined && (this.#left > 0 || (this.#durable === 'file' && !this.#isSynced))) this.#queue();
    else {
      this.#loop.unregister(this.#target);
      this.#done(this.#error);
    }
  }

  #queue(): void {
    const { sqes } = this.#loop.ring;
    const isFile = this.#durable === 'file';
    this.#loop.reserveSqes(2);
    if (this.#left > 0) {
      const sqe = this.#loop.sqe();
      const flags = this.#durable === 'write' ? RWF_DSYNC : 0;
      prepWrite(sqes, sqe, this.#descriptor, this.#address, this.#left, this.#offset, flags);
      if (isFile) sqeSetFlags(sqes, sqe, IOSQE_IO_LINK);
      this.#loop.tag(sqe, this.#target, WRITE);
      this.#underWay++;
    }
    if (!isFile) return;
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
