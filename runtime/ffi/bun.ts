/** Foreign functions on Bun: `bun:ffi`. */
import { createRequire } from 'node:module';
import { type CType, type Ffi, type Functions, firstOf, type Signatures } from './ffi.ts';

/** `i64_fast` gives a number, and a bigint only for what no number can hold. */
const TYPES: Readonly<Record<CType, string>> = { i32: 'i32', i64: 'i64_fast', pointer: 'i64_fast' };

export function createBunFfi(): Ffi {
  // Loaded only here: the other runtimes have no such module.
  const { dlopen, ptr, toArrayBuffer } = createRequire(import.meta.url)('bun:ffi') as typeof import('bun:ffi');
  return {
    name: 'bun:ffi',
    open<const S extends Signatures>(libraries: readonly string[], signatures: S) {
      const symbols = Object.fromEntries(
        Object.entries(signatures).map(([name, { parameters, returns }]) => [
          name,
          { args: parameters.map((type) => TYPES[type]), returns: TYPES[returns] },
        ]),
      ) as Parameters<typeof dlopen>[1];
      return firstOf(libraries, (library) => dlopen(library, symbols).symbols as unknown as Functions<S>);
    },
    view: (address, length) => toArrayBuffer(address as Parameters<typeof toArrayBuffer>[0], 0, length),
    addressOf: ptr,
  };
}
