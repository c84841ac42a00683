/** Reading a snapshot, in large pieces, each while the one before is used. */
import type { Crc32, Disk, DiskFile } from './disk.ts';
import { BadBodyChecksumError, BrokenChainError, type LogPlace, ShortReadError } from './errors.ts';
import { closing } from './segments.ts';
import {
  BLOCK_HEADER_BYTES,
  decodeBlockHeader,
  decodeSnapshotHeader,
  SNAPSHOT_HEADER_BYTES,
  type SnapshotHeader,
} from './snapshot-format.ts';
import type { SnapshotFile } from './snapshot-write.ts';

/** Unit: bytes. */
const PIECE_BYTES = 4 * 1024 * 1024;

/** Called for each payload of a snapshot, in order. `payload` is lent until it returns. */
export type PayloadReader = (payload: Uint8Array, timeMs: number, place: LogPlace) => void;

/** Reads a whole snapshot. Throws a `LogError` at the first damage; the payloads before it were read then. */
export async function readSnapshot(disk: Disk, name: string, onPayload: PayloadReader): Promise<SnapshotFile> {
  return closing(await disk.open(name), async (file) => {
    const place: LogPlace = { directory: disk.path, file: name, offset: 0 };
    const pieces = new Pieces(file, await file.size());
    try {
      const bytes = await pieces.take(SNAPSHOT_HEADER_BYTES);
      if (bytes.length < SNAPSHOT_HEADER_BYTES) throw new ShortReadError(place, 'the file ends within its header');
      const header = decodeSnapshotHeader(bytes, place, disk.crc32);
      const end = await readBlocks(pieces, header, place, disk.crc32, onPayload);
      const { nextSegment, sequence, checksum } = header;
      return { name, nextSegment, sequence, checksum, bytes: end };
    } finally {
      await pieces.settle();
    }
  });
}

/** Returns where the last block ends. */
async function readBlocks(
  pieces: Pieces,
  { headerChecksum, timeMs }: SnapshotHeader,
  start: LogPlace,
  crc32: Crc32,
  onPayload: PayloadReader,
): Promise<number> {
  let offset = SNAPSHOT_HEADER_BYTES;
  let previous = headerChecksum;
  for (;;) {
    const place = { ...start, offset };
    const bytes = await pieces.take(BLOCK_HEADER_BYTES);
    if (bytes.length < BLOCK_HEADER_BYTES) throw new ShortReadError(place, 'the file ends where a block should begin');
    const block = decodeBlockHeader(bytes, place, crc32);
    const body = await pieces.take(block.bodyBytes);
    if (body.length < block.bodyBytes) throw new ShortReadError(place, 'the file ends within a block');
    if (crc32(body, block.headerChecksum) !== block.checksum) {
      throw new BadBodyChecksumError(place, 'the body of a block differs from its checksum');
    }
    if (block.previous !== previous) throw new BrokenChainError(place, 'the block does not follow the one before');
    previous = block.checksum;
    offset += BLOCK_HEADER_BYTES + block.bodyBytes;
    if (block.bodyBytes === 0) break;
    onPayload(body, timeMs, place);
  }
  const rest = await pieces.take(1);
  if (rest.length > 0) throw new BrokenChainError({ ...start, offset }, 'something follows the last block');
  return offset;
}

/** A file from its beginning, the next piece being read while the one before is used. */
class Pieces {
  readonly #file: DiskFile;
  readonly #fileBytes: number;
  readonly #pieceBytes: number;
  /** Where the next piece begins. */
  #offset = 0;
  #next: Promise<Uint8Array<ArrayBuffer>>;
  /** The piece in use, and what of it was not taken yet. */
  #piece: Uint8Array<ArrayBuffer>;
  #rest: Uint8Array;

  constructor(file: DiskFile, fileBytes: number) {
    this.#file = file;
    this.#fileBytes = fileBytes;
    this.#pieceBytes = Math.min(PIECE_BYTES, fileBytes);
    this.#piece = new Uint8Array(this.#pieceBytes);
    this.#rest = this.#piece.subarray(0, 0);
    this.#next = this.#read(new Uint8Array(this.#pieceBytes));
  }

  /** The next bytes: `length` of them, or fewer at the end. Lent until the next call. */
  async take(length: number): Promise<Uint8Array> {
    if (this.#rest.length === 0) await this.#turn();
    if (this.#rest.length >= length) return this.#cut(length);
    // What a damaged file claims to hold is not allocated.
    const joined = new Uint8Array(Math.min(length, this.#fileBytes));
    let filled = 0;
    while (filled < joined.length && this.#rest.length > 0) {
      const part = this.#cut(Math.min(this.#rest.length, joined.length - filled));
      joined.set(part, filled);
      filled += part.length;
      if (this.#rest.length === 0) await this.#turn();
    }
    return joined.subarray(0, filled);
  }

  /** Waits for what is being read. To be called before the file is closed. */
  async settle(): Promise<void> {
    await this.#next.catch(() => {});
  }

  #cut(length: number): Uint8Array {
    const part = this.#rest.subarray(0, length);
    this.#rest = this.#rest.subarray(length);
    return part;
  }

  /** Goes on to the next piece, when all of this one was taken and used. */
  async #turn(): Promise<void> {
    const used = this.#piece;
    this.#piece = await this.#next;
    this.#rest = this.#piece;
    this.#next = this.#read(new Uint8Array(used.buffer));
  }

  #read(into: Uint8Array<ArrayBuffer>): Promise<Uint8Array<ArrayBuffer>> {
    const offset = this.#offset;
    this.#offset += into.length;
    const read = this.#file.read(offset, into).then((length) => into.subarray(0, length));
    // It may fail before anybody waits for it.
    read.catch(() => {});
    return read;
  }
}
