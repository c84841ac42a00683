/**
 * Filling SQEs, one function for each operation. `sqes` and `sqe` are a ring's `sqes` and what its `getSqe` returned.
 * Every function writes the whole entry, for its place was used before; flags and user data are set after it.
 */
import {
  IORING_ACCEPT_MULTISHOT,
  IORING_FILE_INDEX_ALLOC,
  IORING_FSYNC_DATASYNC,
  IORING_OP_ACCEPT,
  IORING_OP_ASYNC_CANCEL,
  IORING_OP_CLOSE,
  IORING_OP_CONNECT,
  IORING_OP_FSYNC,
  IORING_OP_NOP,
  IORING_OP_READ,
  IORING_OP_RECV,
  IORING_OP_SEND,
  IORING_OP_SHUTDOWN,
  IORING_OP_TIMEOUT,
  IORING_OP_WRITE,
  IORING_RECV_MULTISHOT,
  IOSQE_BUFFER_SELECT,
  layout,
  SHUT_WR,
} from './constants.ts';

type Sqes = Int32Array;

const FIELDS = layout.io_uring_sqe;
const FD = FIELDS.fd >> 2;
const OFF = FIELDS.off >> 2;
const ADDR = FIELDS.addr >> 2;
const LEN = FIELDS.len >> 2;
const OP_FLAGS = FIELDS.op_flags >> 2;
const USER_DATA = FIELDS.user_data >> 2;
const BUF_GROUP = FIELDS.buf_group >> 2;
const FILE_INDEX = FIELDS.file_index >> 2;
const LAST = (FIELDS.size >> 2) - 1;

// All in the first word.
const FLAGS_SHIFT = FIELDS.flags * 8;
const IOPRIO_SHIFT = FIELDS.ioprio * 8;

const WORD = 2 ** 32;

/** Does nothing but complete. */
export function prepNop(sqes: Sqes, sqe: number): void {
  prep(sqes, sqe, IORING_OP_NOP, -1, 0, 0, 0);
}

/** Accepts connections, one CQE each, into free places of the ring's file table. */
export function prepMultishotAcceptDirect(sqes: Sqes, sqe: number, fd: number): void {
  prep(sqes, sqe, IORING_OP_ACCEPT | (IORING_ACCEPT_MULTISHOT << IOPRIO_SHIFT), fd, 0, 0, 0);
  sqes[sqe + FILE_INDEX] = IORING_FILE_INDEX_ALLOC | 0;
}

/** Receives into buffers of a group, one CQE each. */
export function prepRecvMultishot(sqes: Sqes, sqe: number, fd: number, bufferGroup: number): void {
  const flags = (IOSQE_BUFFER_SELECT << FLAGS_SHIFT) | (IORING_RECV_MULTISHOT << IOPRIO_SHIFT);
  prep(sqes, sqe, IORING_OP_RECV | flags, fd, 0, 0, 0);
  sqes[sqe + BUF_GROUP] = bufferGroup;
}

export function prepSend(sqes: Sqes, sqe: number, fd: number, address: number, length: number, flags: number): void {
  prep(sqes, sqe, IORING_OP_SEND, fd, address, length, flags);
}

/** Half-closes: the peer sees the end of the stream. */
export function prepShutdown(sqes: Sqes, sqe: number, fd: number): void {
  prep(sqes, sqe, IORING_OP_SHUTDOWN, fd, 0, SHUT_WR, 0);
}

export function prepClose(sqes: Sqes, sqe: number, fd: number): void {
  prep(sqes, sqe, IORING_OP_CLOSE, fd, 0, 0, 0);
}

/** Closes a place of the ring's file table. */
export function prepCloseDirect(sqes: Sqes, sqe: number, index: number): void {
  prep(sqes, sqe, IORING_OP_CLOSE, 0, 0, 0, 0);
  sqes[sqe + FILE_INDEX] = index + 1;
}

/** `address` is where a sockaddr of `length` bytes lies, which has to stay there until the CQE comes. */
export function prepConnect(sqes: Sqes, sqe: number, fd: number, address: number, length: number): void {
  prep(sqes, sqe, IORING_OP_CONNECT, fd, address, 0, 0);
  sqes[sqe + OFF] = length;
}

/** Reads from where the file is. */
export function prepRead(sqes: Sqes, sqe: number, fd: number, address: number, length: number): void {
  prep(sqes, sqe, IORING_OP_READ, fd, address, length, 0);
  sqes[sqe + OFF] = -1;
  sqes[sqe + OFF + 1] = -1;
}

/** Writes at an offset; `flags` are those of pwritev2(2). */
export function prepWrite(
  sqes: Sqes,
  sqe: number,
  fd: number,
  address: number,
  length: number,
  offset: number,
  flags: number,
): void {
  prep(sqes, sqe, IORING_OP_WRITE, fd, address, length, flags);
  sqes[sqe + OFF] = offset | 0;
  sqes[sqe + OFF + 1] = (offset / WORD) | 0;
}

/** Makes durable what was written to a file, and what is needed to read it. */
export function prepFdatasync(sqes: Sqes, sqe: number, fd: number): void {
  prep(sqes, sqe, IORING_OP_FSYNC, fd, 0, 0, IORING_FSYNC_DATASYNC);
}

/** Completes with -ETIME after the `__kernel_timespec` at `address`. */
export function prepTimeout(sqes: Sqes, sqe: number, address: number): void {
  prep(sqes, sqe, IORING_OP_TIMEOUT, -1, address, 1, 0);
}

/** Cancels the request with this user data; with IORING_ASYNC_CANCEL_ALL in `flags`, all that have it. */
export function prepCancel64(sqes: Sqes, sqe: number, low: number, high: number, flags: number): void {
  prep(sqes, sqe, IORING_OP_ASYNC_CANCEL, -1, 0, 0, flags);
  sqes[sqe + ADDR] = low;
  sqes[sqe + ADDR + 1] = high;
}

/** Adds flags (`IOSQE_…`). */
export function sqeSetFlags(sqes: Sqes, sqe: number, flags: number): void {
  sqes[sqe] = sqes[sqe]! | (flags << FLAGS_SHIFT);
}

/** What the CQE will say: the two halves of 64 bits. */
export function sqeSetUserData(sqes: Sqes, sqe: number, low: number, high: number): void {
  sqes[sqe + USER_DATA] = low;
  sqes[sqe + USER_DATA + 1] = high;
}

function prep(
  sqes: Sqes,
  sqe: number,
  head: number,
  fd: number,
  address: number,
  length: number,
  opFlags: number,
): void {
  sqes[sqe] = head;
  sqes[sqe + FD] = fd;
  sqes[sqe + OFF] = 0;
  sqes[sqe + OFF + 1] = 0;
  // An address has up to 57 bits, which a number holds exactly.
  sqes[sqe + ADDR] = address | 0;
  sqes[sqe + ADDR + 1] = (address / WORD) | 0;
  sqes[sqe + LEN] = length;
  sqes[sqe + OP_FLAGS] = opFlags;
  for (let word = BUF_GROUP; word <= LAST; word++) sqes[sqe + word] = 0;
}
