/**
 * Teaches msgpackr to encode typed arrays of more than one byte per element and DataViews. By itself it writes wrong bytes
 * for them (those of whatever lay in its buffer before), unless its option `moreTypes` is on, which in turn writes
 * `Uint8Array` as an extension that other MessagePack libraries can't read. The encoding is the one that `moreTypes` has:
 * ext type 0x74, whose first byte is the kind of array and whose other bytes are its memory, little-endian.
 *
 * msgpackr keeps its extensions per process, so this holds for others who use the same copy of msgpackr too.
 */
import { addExtension } from 'msgpackr';

const EXT_TYPE = 0x74;

/** The kinds in msgpackr's order: the place is the code. Two codes for `ArrayBuffer` and `DataView` lie apart. */
const KINDS = [
  Int8Array,
  Uint8Array,
  Uint8ClampedArray,
  Int16Array,
  Uint16Array,
  Int32Array,
  Uint32Array,
  Float32Array,
  Float64Array,
  BigInt64Array,
  BigUint64Array,
] as const;
const ARRAY_BUFFER_CODE = 16;
const DATA_VIEW_CODE = 17;

/** Stands for the class of all of them: msgpackr asks it with `instanceof`. */
const View = {
  [Symbol.hasInstance]: (value: unknown): boolean => ArrayBuffer.isView(value) && !(value instanceof Uint8Array),
} as unknown as typeof DataView;

/** Registers the extension. */
export function addTypedArrays(): void {
  addExtension({ Class: View, type: EXT_TYPE, pack, unpack });
}

function pack(view: ArrayBufferView): Uint8Array {
  const bytes = new Uint8Array(1 + view.byteLength);
  const code = view instanceof DataView ? DATA_VIEW_CODE : KINDS.findIndex((kind) => view instanceof kind);
  if (code < 0) throw new TypeError(`${view.constructor.name} has no code in msgpackr's extension of typed arrays`);
  bytes[0] = code;
  bytes.set(new Uint8Array(view.buffer, view.byteOffset, view.byteLength), 1);
  return bytes;
}

function unpack(data: Uint8Array): unknown {
  const code = data[0]!;
  // The copy is aligned, as the elements have to be; `data` may be a Buffer, whose `slice` makes no copy.
  const { buffer } = new Uint8Array(data.subarray(1));
  const kind = KINDS[code];
  if (kind !== undefined) return new kind(buffer);
  if (code === ARRAY_BUFFER_CODE) return buffer;
  if (code === DATA_VIEW_CODE) return new DataView(buffer);
  throw new Error(`ext type ${EXT_TYPE} knows no array of code ${code}`);
}
