/** Foreign functions on Deno: `Deno.dlopen`. */
import { type CType, type Ffi, FfiError, type Functions, firstOf, type Signatures } from './ffi.ts';

/** A pointer is an object to Deno, made at each call; as an integer it is none. */
const TYPES: Readonly<Record<CType, Deno.NativeType>> = { i32: 'i32', i64: 'i64', pointer: 'i64' };

type Native = (...args: number[]) => number | bigint;

/** Throws `FfiError` when Deno may not call foreign functions. */
export function createDenoFfi(): Ffi {
  if (Deno.permissions.querySync({ name: 'ffi' }).state !== 'granted') {
    throw new FfiError('Deno may not call them', 'start it with --allow-ffi');
  }
  return {
    name: 'Deno.dlopen',
    open<const S extends Signatures>(libraries: readonly string[], signatures: S) {
      const symbols = Object.fromEntries(
        Object.entries(signatures).map(([name, { parameters, returns }]) => [
          name,
          { parameters: parameters.map((type) => TYPES[type]), result: TYPES[returns] },
        ]),
      ) as Deno.ForeignLibraryInterface;
      const native = firstOf(libraries, (library) => Deno.dlopen(library, symbols).symbols) as Record<string, Native>;
      return Object.fromEntries(
        Object.entries(signatures).map(([name, { returns }]) => {
          const call = native[name]!;
          // A result of 64 bits is a bigint.
          return [name, returns === 'i32' ? call : (...args: number[]) => Number(call(...args))];
        }),
      ) as Functions<S>;
    },
    view: (address, length) =>
      Deno.UnsafePointerView.getArrayBuffer(Deno.UnsafePointer.create(BigInt(address))!, length),
    addressOf: (array) => Number(Deno.UnsafePointer.value(Deno.UnsafePointer.of(array as Uint8Array<ArrayBuffer>))),
  };
}
