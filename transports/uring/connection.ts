/**
 * A connection of a ring. One multishot receive is under way for as long as it is read from; of sends there is at most
 * one at a time, so that nothing overtakes.
 *
 * A send is first tried: the kernel takes all of it at once, and says nothing (`IOSQE_CQE_SKIP_SUCCESS`), or completes it
 * with what it could take. Either is known once it has been entered, so replies of a turn that lie in the engine's memory
 * are done with before the next turn's are written. What did not fit is copied out of there and sent as the peer reads.
 * Long replies are not tried: they stay where they lie, their lease retained, until the peer has read them.
 */
import { systemError } from '../../runtime/ffi/libc.ts';
import { Backlog, LONG_BYTES } from '../backlog.ts';
import type { ServedConnection, Serving } from '../serving.ts';
import type { ConnectionHandler, Lease } from '../transport.ts';
import type { BufferGroup } from './buffers.ts';
import {
  EAGAIN,
  ECANCELED,
  EINTR,
  ENOBUFS,
  IORING_CQE_BUFFER_SHIFT,
  IORING_CQE_F_BUFFER,
  IORING_CQE_F_MORE,
  IOSQE_CQE_SKIP_SUCCESS,
  IOSQE_FIXED_FILE,
  MSG_DONTWAIT,
  MSG_NOSIGNAL,
  MSG_WAITALL,
} from './constants.ts';
import { type Loop, NOBODY, type Target, TRY, type Trial } from './loop.ts';
import {
  prepCancel64,
  prepClose,
  prepCloseDirect,
  prepRecvMultishot,
  prepSend,
  prepShutdown,
  sqeSetFlags,
} from './prep.ts';
import type { Piece } from './stage.ts';

// What completions are about.
const RECEIVE = 1;
const SEND = 2;
const SHUTDOWN = 3;
const CLOSE = 4;

/** How the connection is known to the kernel. */
export interface Descriptor {
  readonly number: number;
  /** It is a place in the ring's file table, and no descriptor of the process. */
  readonly isDirect: boolean;
}

export class UringConnection implements ServedConnection, Target, Trial {
  readonly framing = 'stream';
  handler!: ConnectionHandler;
  readonly #loop: Loop;
  readonly #buffers: BufferGroup;
  readonly #descriptor: Descriptor;
  readonly #serving: Serving | undefined;
  readonly #onGone: () => void;
  readonly #target: number;
  tryNumber = 0;
  /** Requests under way that complete in any case: the connection is gone once there are none. */
  #underWay = 0;

  #isReceiving = false;
  #isCancelling = false;
  #paused = false;
  /** What came while paused, and whether the peer's end did. */
  readonly #held: Uint8Array[] = [];
  #heldEnd = false;
  #resuming = false;
  #peerEnded = false;
  #discarding = false;

  /** `try` and `send` have the bytes at `#sendAddress` under way. */
  #sending: 'nothing' | 'try' | 'send' = 'nothing';
  #sendAddress = 0;
  #sendBytes = 0;
  /** Where in the engine's memory they are; -1 when they are staged. */
  #sendOffset = -1;
  /** What a send has to let go of. */
  #sendLease: Lease | undefined;
  #sendPiece: Piece | undefined;
  readonly #backlog = new Backlog();
  /** `pendingBytes` was above zero, and `drain` was not called since. */
  #owesDrain = false;
  #ended = false;
  #isShutting = false;
  #isShut = false;

  #closing = false;
  #error: Error | undefined;

  constructor(loop: Loop, buffers: BufferGroup, descriptor: Descriptor, onGone: () => void, serving?: Serving) {
    this.#loop = loop;
    this.#buffers = buffers;
    this.#descriptor = descriptor;
    this.#onGone = onGone;
    this.#serving = serving;
    this.#target = loop.register(this);
  }

  /** From now on the handler gets its events. */
  begin(handler: ConnectionHandler): void {
    this.handler = handler;
    if (!this.#closing) this.#receive();
  }

  // Out

  send(bytes: Uint8Array, lease?: Lease): void {
    if (this.#ended || this.#closing || bytes.length === 0) return;
    const leased = lease !== undefined && this.#buffers.shares(bytes) ? lease : undefined;
    if (this.#sending !== 'nothing') {
      this.#backlog.append(bytes, leased);
      this.#owesDrain = true;
      if (this.#sending === 'try') this.#loop.hasten();
    } else if (leased !== undefined) this.#sendLeased(bytes, leased);
    else this.#stage(bytes);
    this.#loop.start();
  }

  get pendingBytes(): number {
    return (this.#sending === 'send' ? this.#sendBytes : 0) + this.#backlog.bytes;
  }

  end(): void {
    if (this.#ended || this.#closing) return;
    this.#ended = true;
    if (this.#sending === 'try') this.#loop.hasten();
    this.#shutWhenSent();
    this.#loop.start();
  }

  finish(): void {
    this.#discarding = true;
    this.end();
    this.resumeReading();
  }

  destroy(): void {
    this.#close(undefined);
    this.#loop.start();
  }

  /** A long reply stays where it lies until the peer has read it; a short one is tried. */
  #sendLeased(bytes: Uint8Array, lease: Lease): void {
    if (bytes.length >= LONG_BYTES) {
      lease.retain();
      this.#sendRetained(bytes.byteOffset, bytes.length, lease);
      return;
    }
    this.#pointAt(bytes.byteOffset, bytes.length);
    this.#queueTry(lease);
  }

  #sendRetained(offset: number, length: number, lease: Lease): void {
    this.#pointAt(offset, length);
    this.#sendLease = lease;
    this.#queueSend();
  }

  #pointAt(offset: number, length: number): void {
    this.#sendOffset = offset;
    this.#sendAddress = this.#buffers.addressAt(offset);
    this.#sendBytes = length;
  }

  /** Copies what fits a piece, and keeps the rest. */
  #stage(bytes: Uint8Array): void {
    const piece = this.#addPiece(bytes);
    if (piece.length < bytes.length) this.#backlog.append(bytes.subarray(piece.length));
    if (this.#backlog.bytes === 0 && piece.length < LONG_BYTES) this.#queueTry(undefined);
    else this.#queueSend();
  }

  #addPiece(bytes: Uint8Array): Piece {
    const piece = this.#loop.stage.add(bytes);
    this.#sendPiece = piece;
    this.#sendOffset = -1;
    this.#sendAddress = piece.address;
    this.#sendBytes = piece.length;
    return piece;
  }

  #queueTry(lease: Lease | undefined): void {
    this.#sending = 'try';
    this.tryNumber++;
    this.#queue(TRY, MSG_NOSIGNAL | MSG_WAITALL | MSG_DONTWAIT, IOSQE_CQE_SKIP_SUCCESS);
    this.#loop.try(this, lease);
  }

  #queueSend(): void {
    this.#sending = 'send';
    this.#owesDrain = true;
    this.#underWay++;
    this.#queue(SEND, MSG_NOSIGNAL | MSG_WAITALL, 0);
  }

  #queue(what: number, messageFlags: number, flags: number): void {
    const { sqes } = this.#loop.ring;
    const sqe = this.#loop.sqe();
    prepSend(sqes, sqe, this.#descriptor.number, this.#sendAddress, this.#sendBytes, messageFlags);
    if (flags !== 0) sqeSetFlags(sqes, sqe, flags);
    this.#finishSqe(sqe, what);
  }

  /** A try was not taken as a whole. */
  #tryFailed(result: number): void {
    if (this.#closing) return;
    if (result < 0 && result !== -EAGAIN && result !== -EINTR) {
      this.#letGo();
      this.#close(systemError('send', result));
      return;
    }
    const taken = Math.max(result, 0);
    if (this.#sendOffset >= 0) {
      // The lease ends with the turn, and the engine then writes to where the bytes lie.
      this.#addPiece(this.#buffers.at(this.#sendOffset + taken, this.#sendBytes - taken));
    } else {
      this.#sendAddress += taken;
      this.#sendBytes -= taken;
    }
    this.#queueSend();
  }

  tried(tryNumber: number): void {
    if (this.#sending === 'try' && tryNumber === this.tryNumber) this.#sent();
  }

  #sendCompleted(result: number): void {
    if (!this.#closing && result >= 0 && result < this.#sendBytes) {
      this.#sendAddress += result;
      this.#sendBytes -= result;
      this.#queueSend();
      return;
    }
    if (result < 0 && result !== -ECANCELED) this.#close(systemError('send', result));
    this.#sent();
  }

  /** What was under way has left; what waits comes next. */
  #sent(): void {
    this.#letGo();
    if (this.#closing) return;
    if (this.#backlog.bytes > 0) {
      this.#sendNext();
      return;
    }
    this.#shutWhenSent();
    if (!this.#owesDrain || this.#ended) return;
    this.#owesDrain = false;
    this.handler.drain();
    this.#delivered();
  }

  #sendNext(): void {
    const leased = this.#backlog.takeLeased();
    if (leased !== undefined) {
      this.#sendRetained(leased.offset, leased.length, leased.lease);
      return;
    }
    this.#backlog.consume(this.#addPiece(this.#backlog.first()).length);
    this.#queueSend();
  }

  #letGo(): void {
    this.#sending = 'nothing';
    this.#sendLease?.release();
    this.#sendLease = undefined;
    if (this.#sendPiece !== undefined) this.#loop.stage.release(this.#sendPiece);
    this.#sendPiece = undefined;
  }

  #shutWhenSent(): void {
    if (!this.#ended || this.#sending !== 'nothing' || this.#isShutting) return;
    if (this.#peerEnded) {
      this.#close(undefined);
      return;
    }
    this.#isShutting = true;
    const sqe = this.#loop.sqe();
    prepShutdown(this.#loop.ring.sqes, sqe, this.#descriptor.number);
    this.#finishSqe(sqe, SHUTDOWN);
    this.#underWay++;
  }

  // In

  pauseReading(): void {
    this.#paused = true;
  }

  resumeReading(): void {
    if (!this.#paused) return;
    this.#paused = false;
    if (this.#closing) return;
    if (this.#held.length > 0 || this.#heldEnd) this.#deliverHeldSoon();
    else if (!this.#isReceiving) this.#receive();
    this.#loop.start();
  }

  #receive(): void {
    if (this.#isReceiving || this.#peerEnded || this.#closing) return;
    const sqe = this.#loop.sqe();
    prepRecvMultishot(this.#loop.ring.sqes, sqe, this.#descriptor.number, this.#buffers.id);
    this.#finishSqe(sqe, RECEIVE);
    this.#isReceiving = true;
    this.#underWay++;
  }

  #received(result: number, flags: number): void {
    if ((flags & IORING_CQE_F_MORE) === 0) {
      this.#isReceiving = false;
      this.#isCancelling = false;
      this.#underWay--;
    }
    if ((flags & IORING_CQE_F_BUFFER) !== 0) {
      const buffer = flags >>> IORING_CQE_BUFFER_SHIFT;
      if (result > 0 && !this.#closing) this.#data(this.#buffers.view(buffer, result));
      this.#buffers.recycle(buffer);
    }
    if (this.#closing) return;
    if (result === 0) {
      if (this.#paused || this.#resuming) this.#heldEnd = true;
      else this.#peerHasEnded();
    } else if (result < 0 && result !== -ENOBUFS && result !== -ECANCELED && result !== -EINTR) {
      this.#close(systemError('recv', result));
    } else if (!this.#isReceiving && !this.#paused) this.#receive();
  }

  #data(bytes: Uint8Array): void {
    if (this.#discarding) return;
    if (!this.#paused && !this.#resuming) {
      this.handler.data(bytes);
      this.#delivered();
      return;
    }
    // The buffer is needed for others; and nothing more is to be taken from the peer.
    this.#held.push(bytes.slice());
    if (this.#paused) this.#cancelReceive();
  }

  #cancelReceive(): void {
    if (!this.#isReceiving || this.#isCancelling) return;
    this.#isCancelling = true;
    this.#cancel(RECEIVE);
  }

  #deliverHeldSoon(): void {
    if (this.#resuming) return;
    this.#resuming = true;
    this.#loop.atTurnEnd(() => {
      this.#resuming = false;
      while (this.#held.length > 0 && !this.#paused && !this.#closing) {
        const bytes = this.#held.shift()!;
        if (!this.#discarding) this.handler.data(bytes);
      }
      if (this.#paused || this.#closing) return;
      if (this.#heldEnd) this.#peerHasEnded();
      else this.#receive();
      this.#delivered();
    });
  }

  #peerHasEnded(): void {
    this.#heldEnd = false;
    this.#peerEnded = true;
    this.handler.end();
    this.#delivered();
    this.#closeWhenBothEnded();
  }

  // The end

  complete(what: number, result: number, flags: number): void {
    switch (what) {
      case RECEIVE:
        this.#received(result, flags);
        break;
      case TRY:
        this.#tryFailed(result);
        return;
      case SEND:
        this.#underWay--;
        this.#sendCompleted(result);
        break;
      case SHUTDOWN:
        this.#underWay--;
        this.#isShutting = false;
        this.#isShut = true;
        if (this.#closing) this.#queueClose();
        else this.#closeWhenBothEnded();
        break;
      case CLOSE:
        this.#underWay--;
        break;
    }
    if (this.#closing && this.#underWay === 0) this.#gone();
  }

  #closeWhenBothEnded(): void {
    if (this.#isShut && this.#peerEnded) this.#close(undefined);
  }

  #close(error: Error | undefined): void {
    if (this.#closing) return;
    this.#closing = true;
    this.#error = error;
    this.#backlog.clear();
    this.#held.length = 0;
    if (this.#isReceiving) this.#cancelReceive();
    if (this.#sending === 'send') this.#cancel(SEND);
    // The kernel shuts down in a thread of its own, which looks the socket up by its number: closed before that, the number
    // may be another connection's by then.
    if (!this.#isShutting) this.#queueClose();
  }

  #queueClose(): void {
    const { number, isDirect } = this.#descriptor;
    const sqe = this.#loop.sqe();
    if (isDirect) prepCloseDirect(this.#loop.ring.sqes, sqe, number);
    else prepClose(this.#loop.ring.sqes, sqe, number);
    this.#loop.tag(sqe, this.#target, CLOSE);
    this.#underWay++;
  }

  #gone(): void {
    // A try may be under way still, of which its turn is told.
    if (this.#sending === 'try') this.#letGo();
    this.#loop.unregister(this.#target);
    this.handler.close(this.#error);
    this.#serving?.gone(this);
    this.#onGone();
  }

  #delivered(): void {
    this.#serving?.delivered();
  }

  /** Cancels what is under way of a kind. */
  #cancel(what: number): void {
    const sqe = this.#loop.sqe();
    prepCancel64(this.#loop.ring.sqes, sqe, this.#target, what, 0);
    // Nobody is interested in how it went: what is cancelled tells.
    this.#loop.tag(sqe, NOBODY, 0);
  }

  #finishSqe(sqe: number, what: number): void {
    if (this.#descriptor.isDirect) sqeSetFlags(this.#loop.ring.sqes, sqe, IOSQE_FIXED_FILE);
    this.#loop.tag(sqe, this.#target, what);
  }
}
