/** What perf and strace print, read as they print it. */
import { expect, test } from 'vitest';
import { parsePerfCounts } from '../../bench/suites/syscalls/perf-tracer.ts';
import { parseStraceCounts } from '../../bench/suites/syscalls/strace-tracer.ts';

const ZERO = String.fromCharCode(0);

test('the counts of perf stat: calls by name, the others together', () => {
  const counts = parsePerfCounts(
    [
      // A zero comes before the first line, since perf sends one along with its answer to an order.
      `${ZERO}120,,raw_syscalls:sys_enter,7169261,100.00,,`,
      '70,,syscalls:sys_enter_io_uring_enter,7169261,100.00,,',
      '0,,syscalls:sys_enter_read,7169261,100.00,,',
      '40,,syscalls:sys_enter_futex,5445953,100.00,,',
      // What no thread got to while it was counted.
      '<not counted>,,syscalls:sys_enter_mmap,0,100.00,,',
    ].join('\n'),
  );
  expect(counts).toMatchObject({ io_uring_enter: 70, read: 0, futex: 40, mmap: 0, other: 10 });
});

test('the counts of perf stat are not negative where one event saw more than all', () => {
  const counts = parsePerfCounts('9,,raw_syscalls:sys_enter,1,100.00,,\n10,,syscalls:sys_enter_madvise,1,100.00,,');
  expect(counts).toMatchObject({ madvise: 10, other: 0 });
});

test('a perf that tells no counts is an error that says what it told', () => {
  expect(() => parsePerfCounts('<not counted>,,raw_syscalls:sys_enter,0,100.00,,')).toThrow(/no counts: <not counted>/);
});

test('the table of strace: with errors and without', () => {
  const counts = parseStraceCounts(`% time     seconds  usecs/call     calls    errors syscall
------ ----------- ----------- --------- --------- ----------------
 62.57    0.039804         503        79         1 futex
 21.20    0.013489         374        36           io_uring_enter
  0.06    0.000039          13         3           sched_getaffinity
------ ----------- ----------- --------- --------- ----------------
100.00    0.053332         275       118         1 total`);
  expect(counts).toMatchObject({ futex: 79, io_uring_enter: 36, read: 0, other: 3 });
  expect(() => parseStraceCounts('')).toThrow(/no counts/);
});
