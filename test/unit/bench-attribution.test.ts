/** What a block is bound by, on figures whose answer is known because they were made for it. */
import { describe, expect, test } from 'vitest';
import type { ReportCell } from '../../bench/results/report.ts';
import { summarize } from '../../bench/results/statistics.ts';
import { attribute, type Costs, PARTS } from '../../bench/suites/blocks/attribution.ts';
import { attributionOf, withAttributions } from '../../bench/suites/blocks/conclude.ts';

/** Server user and system, client user and system, and the time that passed: by default their sum, nobody waits. */
function costs(su: number, ss: number, cu: number, cs: number, elapsedMicros = su + ss + cu + cs): Costs {
  return { elapsedMicros, serverUserMicros: su, serverSystemMicros: ss, clientUserMicros: cu, clientSystemMicros: cs };
}

/** An exchange without a block: 2 µs of user time and 6 µs of system time on either side. */
const smallest = costs(2, 6, 2, 6);

describe('what a block is bound by', () => {
  test('a small block that costs no more than its echo: system calls', () => {
    const found = attribute(costs(3, 6, 2, 6), smallest, smallest, 0.01);
    expect(found).toMatchObject({ bound: 'systemCalls', closeTo: undefined, full: undefined, waitingShare: 0 });
    expect(found.shares).toEqual({ systemCalls: 12 / 17, copies: 0, server: 3 / 17, client: 2 / 17 });
  });

  test('time in which nobody runs counts as system calls', () => {
    const found = attribute(costs(20, 6, 2, 6, 134), costs(2, 6, 2, 6, 116), smallest, 1);
    expect(found).toMatchObject({ bound: 'systemCalls', waitingShare: 100 / 134 });
    expect(found.shares.server).toBeCloseTo(20 / 134);
  });

  test('a long block whose echo is as slow: memory copies, in units of plain ones', () => {
    const echo = costs(4, 106, 4, 106, 120);
    const found = attribute(costs(6, 106, 4, 106, 122), echo, smallest, 50);
    // Both sides overlap: neither has a core full alone, for both have it nearly full.
    expect(found).toMatchObject({ bound: 'copies', closeTo: undefined });
    expect(found.plainCopies).toBeCloseTo((110 + 110 - 16) / 50);
    expect(found.echoShare).toBeCloseTo(120 / 122);
  });

  test('a server that needs far more than its echo: the server', () => {
    const echo = costs(2, 10, 2, 10);
    const found = attribute(costs(60, 14, 2, 10), echo, smallest, 1);
    expect(found).toMatchObject({ bound: 'server', closeTo: undefined });
    expect(found.shares.server).toBeCloseTo((2 + 62) / (12 + 8 + 64 + 2));
  });

  test('a client that checks more than it gets: the client', () => {
    expect(attribute(costs(2, 6, 70, 6), smallest, smallest, 1)).toMatchObject({ bound: 'client' });
  });

  test('where one side has its core full, only its parts count', () => {
    // Several in flight: one side idles while the other works all the time.
    const found = attribute(costs(10, 8, 2, 6, 18.5), costs(2, 8, 2, 6, 10.5), smallest, 1);
    expect(found).toMatchObject({ bound: 'server', full: 'server' });
    expect(found.shares).toEqual({ systemCalls: 6 / 18, copies: 2 / 18, server: 10 / 18, client: 0 });
    const client = attribute(costs(1, 3, 12, 6, 18.5), costs(1, 3, 2, 6, 9), smallest, 1);
    expect(client).toMatchObject({ bound: 'client', full: 'client' });
    expect(client.shares).toMatchObject({ server: 0, copies: 0 });
    expect(client.shares.client).toBeCloseTo(12 / 18);
  });

  test('copies are not the limit where the echo is twice as fast', () => {
    // The bytes are the greatest part of the CPU time, and yet most of the time the echo does not need.
    const echo = costs(2, 56, 2, 56, 60);
    const block = costs(40, 56, 40, 56, 200);
    const found = attribute(block, echo, smallest, 10);
    expect(found.echoShare).toBeLessThan(0.5);
    expect(found.shares.copies).toBeGreaterThan(found.shares[found.bound]);
    expect(found.bound).toBe('server');
    expect(found.closeTo).toBe('client');
  });

  test('shares are 1 together and none is negative, also where an echo happens to cost more', () => {
    const found = attribute(costs(2, 5, 2, 5), costs(3, 9, 3, 9), costs(1, 12, 4, 2), 1);
    expect(PARTS.reduce((sum, part) => sum + found.shares[part], 0)).toBeCloseTo(1);
    for (const part of PARTS) expect(found.shares[part]).toBeGreaterThanOrEqual(0);
  });
});

describe('the cells of a report', () => {
  const cell = (control: boolean, valueSize: number, workload: string, of: Costs): ReportCell => {
    const figures = {
      opsPerSecond: 1e6 / of.elapsedMicros,
      valueBytesPerSecond: (valueSize * 1e6) / of.elapsedMicros,
      serverUserMicrosPerOp: of.serverUserMicros,
      serverSystemMicrosPerOp: of.serverSystemMicros,
      clientUserMicrosPerOp: of.clientUserMicros,
      clientSystemMicrosPerOp: of.clientSystemMicros,
      copyBytesPerSecond: 10e9,
    };
    return {
      dimensions: { runtime: 'bun', transport: 'uring', control, valueSize, workload },
      figures: Object.fromEntries(Object.entries(figures).map(([name, value]) => [name, summarize([value])])),
    };
  };
  const server = cell(false, 1_000_000, 'set', costs(6, 106, 4, 106, 122));
  const echo = cell(true, 1_000_000, 'set', costs(4, 106, 4, 106, 120));
  const others = [cell(true, 1, 'set', smallest), cell(true, 1, 'get', costs(50, 50, 50, 50))];

  test('each is held against the controls of its own workload', () => {
    const cells = withAttributions([server, echo, ...others]);
    expect(cells[0]!.notes!.bound).toBe('memory copies');
    expect(cells[0]!.notes!.attribution).toMatch(
      /^bound by memory copies: system calls \d+ %, .*; 8\.20 GB\/s of the bare echo's 8\.33 \(98 %\); the copies take as long as 2\.04 plain ones at 10\.0 GB\/s$/,
    );
    for (const control of cells.slice(1)) expect(control.notes).toBeUndefined();
  });

  test('without its controls, nothing is said of a cell', () => {
    expect(attributionOf(server, [server, ...others])).toBeUndefined();
    expect(withAttributions([server, echo])[0]!.notes!.bound).toBeDefined();
    expect(withAttributions([server])[0]).toBe(server);
  });
});
