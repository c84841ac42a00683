/**
 * The only things outside the language itself that `core/` may use: standards that every runtime and browser has.
 * The core is type-checked with these and nothing else, so `process`, `Bun`, `Deno`, `setTimeout` or `Date.now`'s
 * surroundings cannot slip in unnoticed. (Biome's `noRestrictedGlobals` refuses `Date.now` and `performance` too.)
 */

declare namespace WebAssembly {
  class Module {
    constructor(bytes: Uint8Array);
  }
  class Instance {
    constructor(module: Module, imports?: Record<string, Record<string, unknown>>);
    readonly exports: Record<string, unknown>;
  }
  class Memory {
    readonly buffer: ArrayBuffer;
  }
}

declare class TextEncoder {
  encode(text: string): Uint8Array<ArrayBuffer>;
  encodeInto(text: string, target: Uint8Array): { read: number; written: number };
}

declare class TextDecoder {
  constructor(label?: string, options?: { fatal?: boolean; ignoreBOM?: boolean });
  decode(bytes: Uint8Array): string;
}

declare class AbortSignal {
  readonly aborted: boolean;
  readonly reason: unknown;
  addEventListener(type: 'abort', listener: () => void, options?: { once?: boolean }): void;
  removeEventListener(type: 'abort', listener: () => void): void;
}

declare class AbortController {
  readonly signal: AbortSignal;
  abort(reason?: unknown): void;
}

declare const crypto: { getRandomValues<T extends Uint8Array>(array: T): T };

declare function atob(base64: string): string;
declare function queueMicrotask(callback: () => void): void;
