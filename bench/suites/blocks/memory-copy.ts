/** The control of copies: how fast memory is copied in this process, with nothing around it. */

/** Shorter blocks are copied as runs of this length: the time would be that of the calls. Unit: bytes. */
const RUN_BYTES_MIN = 64 * 1024;

/** Blocks lie side by side in areas of this length at least, so that they come from where a server's would. Unit: bytes. */
const AREA_BYTES_MIN = 16 * 1024 * 1024;

/** Unit: milliseconds. */
const LENGTH_MS = 30;

/** Copies blocks of `size` bytes from one area to another, round and round. Unit: bytes copied per second. */
export function measureCopying(size: number): number {
  const run = Math.max(size, RUN_BYTES_MIN);
  const runs = Math.max(2, Math.ceil(AREA_BYTES_MIN / run));
  const from = new Uint8Array(runs * run).fill(1);
  const to = new Uint8Array(runs * run).fill(2);
  const copyAll = (): void => {
    for (let at = 0; at < from.length; at += run) to.set(from.subarray(at, at + run), at);
  };
  copyAll();
  const startMs = performance.now();
  let rounds = 0;
  let elapsedMs = 0;
  for (; elapsedMs < LENGTH_MS; elapsedMs = performance.now() - startMs) {
    copyAll();
    rounds++;
  }
  return (rounds * from.length) / (elapsedMs / 1000);
}
