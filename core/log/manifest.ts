/**
 * The manifest of a data directory: which version its files have, and which slots each of its shards owns. It is JSON, for
 * people to read, and written once, when the directory is made.
 */
import { SLOTS, type SlotRange } from '../slots.ts';
import { LOG_VERSION } from './format.ts';

export interface Manifest {
  /** The slots of each shard, in order. */
  readonly shards: readonly SlotRange[];
}

/** A data directory is not what the server that opens it needs. The message says what is wrong, and what to do. */
export class ManifestError extends Error {
  override readonly name = 'ManifestError';
  readonly code = 'MANIFEST';
}

export function encodeManifest({ shards }: Manifest): string {
  return `${JSON.stringify({ version: LOG_VERSION, shards: shards.map(({ first, last }) => [first, last]) })}\n`;
}

/** Reads a manifest. Throws `ManifestError` when it is none, or of another version. `path` is for the message. */
export function decodeManifest(text: string, path: string): Manifest {
  let parsed: unknown;
  try {
    parsed = JSON.parse(text);
  } catch (error) {
    throw new ManifestError(`${path} is not JSON: ${(error as Error).message}`);
  }
  const { version, shards } = (parsed ?? {}) as { version?: unknown; shards?: unknown };
  if (version !== LOG_VERSION) {
    throw new ManifestError(`${path} has version ${JSON.stringify(version)}, and only ${LOG_VERSION} is known`);
  }
  if (!Array.isArray(shards) || !shards.every(isSlots) || !areAllSlots(shards)) {
    throw new ManifestError(`${path} does not say which of the ${SLOTS} slots each shard owns`);
  }
  return { shards: shards.map(([first, last]) => ({ first, last })) };
}

/** Throws `ManifestError` unless the directory at `path` was made for as many shards with the same slots. */
export function checkManifest(manifest: Manifest, shards: readonly SlotRange[], path: string): void {
  const there = manifest.shards.length;
  const isSame =
    there === shards.length &&
    shards.every(({ first, last }, i) => first === manifest.shards[i]!.first && last === manifest.shards[i]!.last);
  if (isSame) return;
  throw new ManifestError(
    there === shards.length
      ? `${path} was made with other slots for its ${there} shards`
      : `${path} was made for ${there} ${there === 1 ? 'shard' : 'shards'}, not ${shards.length}: start with --shards ${there}`,
  );
}

function isSlots(value: unknown): value is [number, number] {
  return Array.isArray(value) && value.length === 2 && value.every(Number.isInteger) && value[0] <= value[1];
}

function areAllSlots(shards: readonly [number, number][]): boolean {
  return shards.every(([first], i) => first === (shards[i - 1]?.[1] ?? -1) + 1) && shards.at(-1)?.[1] === SLOTS - 1;
}
