/**
 * Foreign functions: calling C from TypeScript, the same way on every runtime. Small on purpose: functions whose arguments
 * and results are integers or addresses, memory at an address, and the address of memory.
 *
 * Lifetimes. An address is a number, so no collector sees who holds it:
 * - `view` does not own what it shows: collecting it frees nothing, and unmapping what it shows leaves a view that MUST NOT
 *   be touched any more.
 * - `addressOf` is valid only while something keeps the array's buffer alive and in its place. Memory that the kernel reads
 *   or writes after the call that told it about it MUST therefore come from `mmap`, or be referenced for as long: a buffer,
 *   whose bytes no runtime moves, or a WebAssembly memory, whose address is asked for anew once it has grown.
 */

/** Types of arguments and results. A `pointer` is an address; all of them are numbers in JavaScript. */
export type CType = 'i32' | 'i64' | 'pointer';

export interface Signature {
  readonly parameters: readonly CType[];
  readonly returns: CType;
}

export type Signatures = Readonly<Record<string, Signature>>;

/** The functions of a library. Results beyond 2^53 lose digits; no address and no count of bytes is that large. */
export type Functions<S extends Signatures> = { readonly [Name in keyof S]: (...args: number[]) => number };

export interface Ffi {
  /** What does the work, like `bun:ffi`. */
  readonly name: string;
  /** Opens the first library that is there. Throws `FfiError` when none is, or when one has no such function. */
  open<const S extends Signatures>(libraries: readonly string[], signatures: S): Functions<S>;
  /** The memory at an address, as a buffer of `length` bytes. */
  view(address: number, length: number): ArrayBuffer;
  /** Where the first byte of an array lies. */
  addressOf(array: Uint8Array): number;
}

/** Foreign functions can't be used here; the message says why and what would help. */
export class FfiError extends Error {
  override readonly name = 'FfiError';
  /** What would help. */
  readonly remedy: string;

  constructor(message: string, remedy: string, options?: ErrorOptions) {
    super(message, options);
    this.remedy = remedy;
  }
}

/** Tries one library after the other. `open` throws when it isn't there. */
export function firstOf<T>(libraries: readonly string[], open: (library: string) => T): T {
  let cause: unknown;
  for (const library of libraries) {
    try {
      return open(library);
    } catch (error) {
      cause ??= error;
    }
  }
  throw new FfiError(
    `${libraries.join(' and ')} can't be opened: ${cause instanceof Error ? cause.message : cause}`,
    'a C library of the GNU or musl kind is needed',
    { cause },
  );
}
