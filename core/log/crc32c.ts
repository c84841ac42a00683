/**
 * CRC-32C (Castagnoli, 1993; RFC 3720, appendix B.4), the checksum of all that the log writes. A small WebAssembly module
 * computes it (`crc32c/assembly/`), as fast as memory is read from most disks.
 */
import { decodeBase64 } from '../base64.ts';
import { wasmBase64 } from './crc32c/wasm.ts';

interface Exports {
  readonly memory: WebAssembly.Memory;
  bufferAddress(): number;
  bufferBytes(): number;
  update(before: number, length: number): number;
}

const exports = new WebAssembly.Instance(new WebAssembly.Module(decodeBase64(wasmBase64)), {})
  .exports as unknown as Exports;
// The module's memory never grows, so the view stays valid.
const buffer = new Uint8Array(exports.memory.buffer, exports.bufferAddress(), exports.bufferBytes());

/** CRC-32C of `bytes`; with `before`, the checksum of some bytes, that of those and `bytes` together. */
export function crc32c(bytes: Uint8Array, before = 0): number {
  if (bytes.length <= buffer.length) return update(bytes, before);
  let crc = before;
  for (let start = 0; start < bytes.length; start += buffer.length) {
    crc = update(bytes.subarray(start, start + buffer.length), crc);
  }
  return crc;
}

function update(bytes: Uint8Array, before: number): number {
  buffer.set(bytes);
  return exports.update(before, bytes.length) >>> 0;
}
