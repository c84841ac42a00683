/** Lines of what comes in pieces. */

/**
 * The lines of a text in UTF-8, which end at `\n` or `\r\n` alone: what `node:readline` takes for an end besides, like U+2028, may
 * stand in a value. Keeps no more than the line that has not come to its end, and looks at each piece once.
 */
export async function* linesOf(pieces: AsyncIterable<Uint8Array>): AsyncGenerator<string, void, undefined> {
  const decoder = new TextDecoder();
  let begun: string[] = [];
  for await (const piece of pieces) {
    const [end, ...next] = decoder.decode(piece, { stream: true }).split('\n');
    begun.push(end!);
    for (const text of next) {
      yield begun.join('').replace(/\r$/, '');
      begun = [text];
    }
  }
  const last = begun.join('') + decoder.decode();
  if (last !== '') yield last;
}
