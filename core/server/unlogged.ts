/** Replies of frames whose writes may be lost. */
import { Reader, Writer } from '../msgpack.ts';
import { ErrorCode, FRAME_HEADER_BYTES, readFrameLength, writeFrameHeader } from '../protocol.ts';

const UNKNOWN_OUTCOME = errorResult('outcome unknown: the log has failed');

/**
 * What is answered in the place of some whole frames of replies that must not leave: as many results, each the error LOG. One
 * that is an error of the whole payload stays as it is, for nothing of it ran.
 */
export function refuseResults(frames: Uint8Array): Uint8Array {
  const writer = new Writer(frames.length);
  for (let start = 0; start < frames.length; ) {
    const end = start + FRAME_HEADER_BYTES + readFrameLength(frames, start);
    const results = new Reader(frames, start + FRAME_HEADER_BYTES, end).arrayHeader();
    if (results < 0) writer.raw(frames.subarray(start, end));
    else writeRefusals(writer, results);
    start = end;
  }
  return writer.view();
}

function writeRefusals(writer: Writer, count: number): void {
  const header = writer.reserve(FRAME_HEADER_BYTES);
  writer.arrayHeader(count);
  for (let i = 0; i < count; i++) writer.raw(UNKNOWN_OUTCOME);
  writeFrameHeader(writer.view(), header, writer.length - header - FRAME_HEADER_BYTES);
}

function errorResult(message: string): Uint8Array {
  const writer = new Writer();
  writer.error(ErrorCode.LOG, message);
  return writer.copy();
}
