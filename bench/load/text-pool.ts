/**
 * The same operations in the languages of other stores: RESP, which Redis and Valkey speak, and the meta commands of
 * memcached. Neither has frames, so a frame is `batch` requests sent at once, which is what their users call a pipeline.
 *
 * Sources: redis.io, "Redis serialization protocol specification"; memcached, doc/protocol.txt, "Meta Commands".
 */
import type { Pool } from './pool.ts';
import type { Checker } from './replies.ts';
import { TextChecker } from './text-replies.ts';
import { KEY_BYTES, type Operations, READ, type Values, writeKey } from './workload.ts';

export const TEXT_LANGUAGE_NAMES = ['resp', 'memcached'] as const;

export type TextLanguageName = (typeof TEXT_LANGUAGE_NAMES)[number];

/** What stands around keys and values. Every value has the same length, and every key. */
export interface TextLanguage {
  /** Before and behind the key of a GET. */
  readonly get: readonly [before: string, behind: string];
  /** Before the key of a SET, between it and the value, and behind that. */
  readonly set: readonly [before: string, between: string, behind: string];
  /** Before and behind the value that a GET answers. */
  readonly value: readonly [before: string, behind: string];
  /** What a SET answers. */
  readonly stored: string;
  /** What a GET of a key that isn't there answers. */
  readonly missing: string;
}

const languages: Readonly<Record<TextLanguageName, (valueBytes: number) => TextLanguage>> = {
  resp: (valueBytes) => ({
    get: [`*2\r\n$3\r\nGET\r\n$${KEY_BYTES}\r\n`, '\r\n'],
    set: [`*3\r\n$3\r\nSET\r\n$${KEY_BYTES}\r\n`, `\r\n$${valueBytes}\r\n`, '\r\n'],
    value: [`$${valueBytes}\r\n`, '\r\n'],
    stored: '+OK\r\n',
    missing: '$-1\r\n',
  }),
  memcached: (valueBytes) => ({
    get: ['mg ', ' v\r\n'],
    set: ['ms ', ` ${valueBytes}\r\n`, '\r\n'],
    value: [`VA ${valueBytes}\r\n`, '\r\n'],
    stored: 'HD\r\n',
    missing: 'EN\r\n',
  }),
};

/** Operations that fill no frame are left out. */
export class TextPool implements Pool {
  readonly language: TextLanguage;
  readonly operations: Operations;
  readonly batch: number;
  readonly length: number;
  readonly values: Values;
  readonly #bytes: Uint8Array;
  readonly #starts: Float64Array;

  constructor(name: TextLanguageName, operations: Operations, batch: number, values: Values) {
    this.language = languages[name](values.length);
    this.operations = operations;
    this.batch = batch;
    this.length = Math.floor(operations.versions.length / batch);
    this.values = values;
    this.#starts = new Float64Array(this.length + 1);
    this.#layOut();
    this.#bytes = new Uint8Array(this.#starts[this.length]!);
    this.#encode();
  }

  frame(index: number, count = 1): Uint8Array {
    return this.#bytes.subarray(this.#starts[index]!, this.#starts[index + count]!);
  }

  /** These languages know no messages. */
  payload(index: number): Uint8Array {
    return this.frame(index);
  }

  checker(): Checker {
    return new TextChecker(this);
  }

  #layOut(): void {
    const { get, set } = this.language;
    const getBytes = KEY_BYTES + get.join('').length;
    const setBytes = KEY_BYTES + set.join('').length + this.values.length;
    const { versions } = this.operations;
    for (let frame = 0; frame < this.length; frame++) {
      let bytes = 0;
      for (let i = frame * this.batch; i < (frame + 1) * this.batch; i++) {
        bytes += versions[i] === READ ? getBytes : setBytes;
      }
      this.#starts[frame + 1] = this.#starts[frame]! + bytes;
    }
  }

  #encode(): void {
    const bytes = this.#bytes;
    const { values } = this;
    const { keyNumbers, versions } = this.operations;
    const [beforeGet, behindGet] = this.language.get.map(latin1);
    const [beforeSet, beforeValue, behindSet] = this.language.set.map(latin1);
    let at = 0;
    const put = (text: Uint8Array): void => {
      bytes.set(text, at);
      at += text.length;
    };
    for (let i = 0; i < this.length * this.batch; i++) {
      const reads = versions[i] === READ;
      put(reads ? beforeGet! : beforeSet!);
      writeKey(bytes, at, keyNumbers[i]!);
      at += KEY_BYTES;
      if (reads) {
        put(behindGet!);
        continue;
      }
      put(beforeValue!);
      values.write(bytes, at, keyNumbers[i]!, versions[i]!);
      at += values.length;
      put(behindSet!);
    }
  }
}

function latin1(text: string): Uint8Array {
  return Uint8Array.from(text, (letter) => letter.charCodeAt(0));
}
