/** The client's side of framing: payloads come out whole, however the bytes were split. */
import { describe, expect, test } from 'vitest';
import { ProtocolError } from '../../core/client/errors.ts';
import { FrameSplitter } from '../../core/client/frames.ts';
import { concat, hex } from '../support/bytes.ts';
import { frame } from '../support/scripted-server.ts';

const frames = [frame([]), frame(['a', 1]), frame(['x'.repeat(3000)]), frame([true])];
const stream = concat(...frames);
const payloads = frames.map((bytes) => hex(bytes.subarray(5)));

/** What comes out when the stream is cut at these places. */
function split(bytes: Uint8Array, cuts: readonly number[], wanted = Infinity, most = 10_000): string[] {
  const out: string[] = [];
  const splitter = new FrameSplitter({
    payloadBytesMax: () => most,
    payload(payload) {
      out.push(hex(payload));
      return out.length < wanted;
    },
  });
  let from = 0;
  for (const cut of [...cuts, bytes.length]) {
    // A buffer of its own, which is overwritten as the next read of a socket would do it.
    const chunk = bytes.slice(from, cut);
    splitter.push(chunk);
    chunk.fill(0xce);
    from = cut;
  }
  return out;
}

describe('splitting frames', () => {
  test('all at once', () => expect(split(stream, [])).toEqual(payloads));

  test('byte by byte', () => {
    expect(split(stream, [...stream.keys()])).toEqual(payloads);
  });

  test('cut in two at every place', () => {
    for (let cut = 0; cut <= stream.length; cut++) expect(split(stream, [cut])).toEqual(payloads);
  });

  test('in pieces of every size up to 40', () => {
    for (let size = 1; size <= 40; size++) {
      const cuts = Array.from({ length: Math.floor(stream.length / size) }, (_, i) => (i + 1) * size);
      expect(split(stream, cuts)).toEqual(payloads);
    }
  });

  test('no more come than are wanted', () => expect(split(stream, [7], 2)).toEqual(payloads.slice(0, 2)));

  test('a payload as long as may be, and one byte longer', () => {
    const bytes = frame(['x'.repeat(50)]);
    expect(split(bytes, [3], Infinity, bytes.length - 5)).toHaveLength(1);
    expect(() => split(bytes, [3], Infinity, bytes.length - 6)).toThrow(ProtocolError);
  });

  test('a length that is only announced takes no memory', () => {
    expect(() => split(Uint8Array.of(0xce, 0xff, 0xff, 0xff, 0xff), [], 1, 2 ** 32)).not.toThrow();
  });

  test.each([0, 2])('what is no frame, after %i frames', (count) => {
    const bytes = concat(...frames.slice(0, count), Buffer.from('HTTP/1.1 400 Bad Request'));
    expect(() => split(bytes, [2])).toThrow(/0xCE, not with 72/);
  });
});
