/** Foreign functions on Node: `koffi`, an optional dependency, for Node has none of its own. */
import { createRequire } from 'node:module';
import { type CType, type Ffi, FfiError, type Functions, firstOf, type Signatures } from './ffi.ts';

const TYPES: Readonly<Record<CType, string>> = { i32: 'int32_t', i64: 'int64_t', pointer: 'intptr_t' };

/** Throws `FfiError` when koffi isn't installed or has no binary for this machine. */
export function createNodeFfi(): Ffi {
  let koffi: typeof import('koffi');
  try {
    koffi = createRequire(import.meta.url)('koffi') as typeof koffi;
  } catch (cause) {
    throw new FfiError('Node calls them through koffi, which is not here', 'npm install koffi', { cause });
  }
  return {
    name: `koffi ${koffi.version}`,
    open<const S extends Signatures>(libraries: readonly string[], signatures: S) {
      const library = firstOf(libraries, (name) => koffi.load(name));
      return Object.fromEntries(
        Object.entries(signatures).map(([name, { parameters, returns }]) => [
          name,
          library.func(
            name,
            TYPES[returns],
            parameters.map((type) => TYPES[type]),
          ),
        ]),
      ) as unknown as Functions<S>;
    },
    view: (address, length) => koffi.view(BigInt(address), length),
    addressOf: (array) => Number(koffi.address(array)),
  };
}
