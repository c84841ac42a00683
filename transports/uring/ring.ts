/**
 * One io_uring: set up, mapped, and its two queues as typed arrays. The words are those of liburing: an SQE is taken with
 * `getSqe`, filled with a function of `prep.ts`, handed over with `submitAndWait`; CQEs are looked at with
 * `cqReady` and `cqe`, and released with `cqAdvance`.
 *
 * A ring belongs to the thread that made it. With IORING_SETUP_DEFER_TASKRUN the kernel completes nothing outside of
 * `io_uring_enter`, so while JavaScript runs no one else touches the queues, and plain loads and stores will do: the
 * system call orders them. (Without it, on kernel 6.0, the kernel interrupts this same thread to complete.)
 */
import { type Libc, type Mapping, systemError } from '../../runtime/ffi/libc.ts';
import {
  EINVAL,
  IORING_ENTER_EXT_ARG,
  IORING_ENTER_GETEVENTS,
  IORING_FEAT_CQE_SKIP,
  IORING_FEAT_EXT_ARG,
  IORING_FEAT_NODROP,
  IORING_FEAT_SINGLE_MMAP,
  IORING_FEAT_SUBMIT_STABLE,
  IORING_OFF_SQ_RING,
  IORING_OFF_SQES,
  IORING_REGISTER_FILE_ALLOC_RANGE,
  IORING_REGISTER_FILES_UPDATE,
  IORING_REGISTER_FILES2,
  IORING_RSRC_REGISTER_SPARSE,
  IORING_SETUP_CLAMP,
  IORING_SETUP_COOP_TASKRUN,
  IORING_SETUP_CQSIZE,
  IORING_SETUP_DEFER_TASKRUN,
  IORING_SETUP_NO_SQARRAY,
  IORING_SETUP_SINGLE_ISSUER,
  IORING_SETUP_SUBMIT_ALL,
  IORING_SQ_CQ_OVERFLOW,
  layout,
} from './constants.ts';
import { prepNop, sqeSetUserData } from './prep.ts';

/** A way to set up a ring; the first that the kernel takes is used. */
export interface Setup {
  readonly flags: number;
  /** What is lost beside the one before, and the first kernel that has it. */
  readonly name: string;
}

const COMMON = IORING_SETUP_CQSIZE | IORING_SETUP_CLAMP | IORING_SETUP_SUBMIT_ALL | IORING_SETUP_SINGLE_ISSUER;

/** From the newest kernel to the oldest that will do. */
export const SETUPS: readonly Setup[] = [
  {
    flags: COMMON | IORING_SETUP_DEFER_TASKRUN | IORING_SETUP_NO_SQARRAY,
    name: 'SINGLE_ISSUER, DEFER_TASKRUN, NO_SQARRAY (Linux 6.6)',
  },
  { flags: COMMON | IORING_SETUP_DEFER_TASKRUN, name: 'SINGLE_ISSUER, DEFER_TASKRUN (Linux 6.1)' },
  { flags: COMMON | IORING_SETUP_COOP_TASKRUN, name: 'SINGLE_ISSUER, COOP_TASKRUN (Linux 6.0)' },
];

/** Features that are relied on; every kernel from 6.0 on has them. */
const FEATURES_NEEDED =
  IORING_FEAT_SINGLE_MMAP | IORING_FEAT_NODROP | IORING_FEAT_SUBMIT_STABLE | IORING_FEAT_EXT_ARG | IORING_FEAT_CQE_SKIP;

export interface RingOptions {
  /** Room for SQEs, a power of two. */
  readonly sqEntries: number;
  /** Room for CQEs, a power of two, not less than `sqEntries`. What does not fit is kept by the kernel. */
  readonly cqEntries: number;
  /** The ways to try. Default: `SETUPS`. */
  readonly setups?: readonly Setup[];
}

const SQE_WORDS = layout.io_uring_sqe.size / 4;
const CQE_WORDS = layout.io_uring_cqe.size / 4;

// Where what is told to the kernel lies in the scratch page.
const PARAMS_AT = 0;
const GETEVENTS_AT = 256;
const TIMESPEC_AT = 512;
const ARGUMENT_AT = 1024;

export class Ring {
  /** The descriptor of the ring. Closing it cancels all that is under way and closes the files registered with it. */
  readonly descriptor: number;
  readonly setup: Setup;
  readonly sqEntries: number;
  readonly cqEntries: number;
  /** All SQEs, as 32-bit words; `getSqe` gives indices into it. */
  readonly sqes: Int32Array;
  /** The shared words of the queues and the CQEs, as 32-bit words; `cqe` gives indices into it. */
  readonly words: Int32Array;

  /** All that is mapped for the ring. It lives for as long as they do, or its descriptor. */
  readonly mappings: Mapping[] = [];
  readonly #libc: Libc;
  readonly #scratch: Mapping;
  readonly #timespec: DataView;
  #timeoutMs = -1;

  // Indices into `words`.
  readonly #sqHead: number;
  readonly #sqTail: number;
  readonly #sqFlags: number;
  readonly #cqHead: number;
  readonly #cqTail: number;
  readonly #cqes: number;
  readonly #sqMask: number;
  readonly #cqMask: number;
  /** The tail of the SQ, of which the kernel learns when something is submitted. Wraps at 2^32, as an int32. */
  #tail = 0;

  /** Throws the system's error, with its code, when the kernel refuses, and an `Error` when it is too old. */
  constructor(libc: Libc, { sqEntries, cqEntries, setups = SETUPS }: RingOptions) {
    this.#libc = libc;
    this.#scratch = libc.map(4096);
    this.mappings.push(this.#scratch);
    this.#timespec = new DataView(this.#scratch.buffer, TIMESPEC_AT, layout.__kernel_timespec.size);
    const offsets = layout.io_uring_params;
    const params = new DataView(this.#scratch.buffer, PARAMS_AT, offsets.size);
    const { descriptor, setup } = this.#setUp(params, { sqEntries, cqEntries, setups });
    this.descriptor = descriptor;
    this.setup = setup;
    try {
      const features = params.getUint32(offsets.features, true);
      if ((features & FEATURES_NEEDED) !== FEATURES_NEEDED)
        throw new Error('this io_uring lacks features of Linux 6.0');
      this.sqEntries = params.getUint32(offsets.sq_entries, true);
      this.cqEntries = params.getUint32(offsets.cq_entries, true);
      const sq = (field: keyof typeof layout.io_sqring_offsets): number =>
        params.getUint32(offsets.sq_off + layout.io_sqring_offsets[field], true);
      const cq = (field: keyof typeof layout.io_cqring_offsets): number =>
        params.getUint32(offsets.cq_off + layout.io_cqring_offsets[field], true);
      const cqEnd = cq('cqes') + this.cqEntries * layout.io_uring_cqe.size;
      const rings = this.#map(Math.max(cqEnd, sq('array') + this.sqEntries * 4), IORING_OFF_SQ_RING);
      this.words = new Int32Array(rings, 0, rings.byteLength >> 2);
      this.sqes = new Int32Array(this.#map(this.sqEntries * layout.io_uring_sqe.size, IORING_OFF_SQES));
      this.#sqHead = sq('head') >> 2;
      this.#sqTail = sq('tail') >> 2;
      this.#sqFlags = sq('flags') >> 2;
      this.#cqHead = cq('head') >> 2;
      this.#cqTail = cq('tail') >> 2;
      this.#cqes = cq('cqes') >> 2;
      this.#sqMask = this.words[sq('ring_mask') >> 2]!;
      this.#cqMask = this.words[cq('ring_mask') >> 2]!;
      this.#tail = this.words[this.#sqTail]!;
      if ((setup.flags & IORING_SETUP_NO_SQARRAY) === 0) this.#fillArray(sq('array') >> 2);
      this.#assertLayout(this.words[sq('ring_entries') >> 2]!, this.words[cq('ring_entries') >> 2]!);
    } catch (error) {
      this.close();
      throw error;
    }
    const argument = new DataView(this.#scratch.buffer, GETEVENTS_AT, layout.io_uring_getevents_arg.size);
    argument.setBigUint64(layout.io_uring_getevents_arg.ts, BigInt(this.#scratch.address + TIMESPEC_AT), true);
  }

  /** SQEs that were filled and not submitted yet. */
  sqReady(): number {
    return (this.#tail - this.words[this.#sqHead]!) | 0;
  }

  /** The next SQE, as the index of its first word in `sqes`; -1 when the queue is full and has to be submitted first. */
  getSqe(): number {
    if (this.sqReady() === this.sqEntries) return -1;
    const sqe = (this.#tail & this.#sqMask) * SQE_WORDS;
    this.#tail = (this.#tail + 1) | 0;
    return sqe;
  }

  /**
   * Hands over what is ready and waits until there are `waitNr` CQEs, 0 for as many as there are. Returns how many the kernel
   * took, or a negative errno.
   */
  submitAndWait(waitNr: number): number {
    return this.#enter(waitNr, IORING_ENTER_GETEVENTS, 0, 0);
  }

  /** As `submitAndWait`, for `timeoutMs` at most: then it returns -ETIME. */
  submitAndWaitTimeout(waitNr: number, timeoutMs: number): number {
    if (timeoutMs !== this.#timeoutMs) {
      this.#timeoutMs = timeoutMs;
      const { tv_sec, tv_nsec } = layout.__kernel_timespec;
      this.#timespec.setBigInt64(tv_sec, BigInt(Math.floor(timeoutMs / 1000)), true);
      this.#timespec.setBigInt64(tv_nsec, BigInt(Math.round((timeoutMs % 1000) * 1e6)), true);
    }
    return this.#enter(
      waitNr,
      IORING_ENTER_GETEVENTS | IORING_ENTER_EXT_ARG,
      this.#scratch.address + GETEVENTS_AT,
      layout.io_uring_getevents_arg.size,
    );
  }

  /** CQEs that are there. */
  cqReady(): number {
    return (this.words[this.#cqTail]! - this.words[this.#cqHead]!) | 0;
  }

  /** One of those that are there, counted from the oldest, as the index of its first word in `words`. */
  cqe(number: number): number {
    return this.#cqes + ((this.words[this.#cqHead]! + number) & this.#cqMask) * CQE_WORDS;
  }

  /** Releases the oldest `count`: the kernel uses their place again. */
  cqAdvance(count: number): void {
    this.words[this.#cqHead] = (this.words[this.#cqHead]! + count) | 0;
  }

  /** Whether the kernel keeps CQEs for which there was no room. They come with the next wait, once there is. */
  get cqOverflows(): boolean {
    return (this.words[this.#sqFlags]! & IORING_SQ_CQ_OVERFLOW) !== 0;
  }

  /**
   * Makes the ring's file table: places for connections, which accepts fill, behind `reserved` ones that `putFile` fills.
   * Throws the system's error.
   */
  registerFiles(connections: number, reserved: number): void {
    const { io_uring_rsrc_register: register, io_uring_file_index_range: range } = layout;
    this.#register(IORING_REGISTER_FILES2, register.size, register.size, (argument) => {
      argument.setUint32(register.nr, reserved + connections, true);
      argument.setUint32(register.flags, IORING_RSRC_REGISTER_SPARSE, true);
    });
    this.#register(IORING_REGISTER_FILE_ALLOC_RANGE, range.size, 0, (argument) => {
      argument.setUint32(range.off, reserved, true);
      argument.setUint32(range.len, connections, true);
    });
  }

  /** Puts a file into a reserved place of the table, where it stays when its descriptor is closed. Throws likewise. */
  putFile(place: number, descriptor: number): void {
    const { size, offset, fds } = layout.io_uring_files_update;
    this.#register(IORING_REGISTER_FILES_UPDATE, size + 4, 1, (argument, address) => {
      argument.setUint32(offset, place, true);
      argument.setBigUint64(fds, BigInt(address + size), true);
      argument.setInt32(size, descriptor, true);
    });
  }

  /** Ends all that is under way. The ring MUST NOT be used any more. */
  close(): void {
    this.#libc.close(this.descriptor);
    for (const mapping of this.mappings.splice(0)) this.#libc.unmap(mapping);
  }

  #setUp(params: DataView, { sqEntries, cqEntries, setups }: Required<RingOptions>) {
    let result = -EINVAL;
    for (const setup of setups) {
      for (let at = 0; at < params.byteLength; at++) params.setUint8(at, 0);
      params.setUint32(layout.io_uring_params.flags, setup.flags, true);
      params.setUint32(layout.io_uring_params.cq_entries, cqEntries, true);
      result = this.#libc.ioUringSetup(sqEntries, this.#scratch.address + PARAMS_AT);
      if (result >= 0) return { descriptor: result, setup };
      // A flag that the kernel doesn't know: an older way may do.
      if (result !== -EINVAL) break;
    }
    this.#libc.unmap(this.#scratch);
    throw systemError('io_uring_setup', result);
  }

  #register(opcode: number, bytes: number, count: number, fill: (argument: DataView, address: number) => void): void {
    const { buffer, address } = this.#scratch;
    new Uint8Array(buffer, ARGUMENT_AT, bytes).fill(0);
    fill(new DataView(buffer, ARGUMENT_AT, bytes), address + ARGUMENT_AT);
    const result = this.#libc.ioUringRegister(this.descriptor, opcode, address + ARGUMENT_AT, count);
    if (result < 0) throw systemError('io_uring_register', result);
  }

  #map(length: number, offset: number): ArrayBuffer {
    const mapping = this.#libc.mapShared(length, this.descriptor, offset);
    this.mappings.push(mapping);
    return mapping.buffer;
  }

  /** Before NO_SQARRAY the queue was an array of indices of SQEs. Ours stand in their order for good. */
  #fillArray(array: number): void {
    for (let i = 0; i < this.sqEntries; i++) this.words[array + i] = i;
  }

  /** Throws when the kernel that runs lays out the queues, or the entries that go round them, in another way. */
  #assertLayout(sqRingEntries: number, cqRingEntries: number): void {
    const userData = [0x5a17ed, 0x0ffce7] as const;
    prepNop(this.sqes, this.getSqe());
    sqeSetUserData(this.sqes, 0, ...userData);
    const submitted = this.submitAndWait(1);
    const cqe = this.cqe(0);
    const isAsExpected =
      sqRingEntries === this.sqEntries &&
      cqRingEntries === this.cqEntries &&
      this.#sqMask === this.sqEntries - 1 &&
      this.#cqMask === this.cqEntries - 1 &&
      submitted === 1 &&
      this.sqReady() === 0 &&
      this.cqReady() === 1 &&
      this.words[cqe] === userData[0] &&
      this.words[cqe + 1] === userData[1] &&
      this.words[cqe + 2] === 0;
    if (!isAsExpected) throw new Error('this io_uring lays out its queues in another way than is known');
    this.cqAdvance(1);
  }

  #enter(waitNr: number, flags: number, argument: number, size: number): number {
    this.words[this.#sqTail] = this.#tail;
    return this.#libc.ioUringEnter(this.descriptor, this.sqReady(), waitNr, flags, argument, size);
  }
}
