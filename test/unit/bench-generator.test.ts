/** Which runtime and transport ask a server. */
import { describe, expect, test } from 'vitest';
import { chooseClient, chooseClients, type GeneratorFlags } from '../../bench/load/choose-generator.ts';
import type { Survey } from '../../bench/servers/survey.ts';
import type { RuntimeName } from '../../runtime/runtime.ts';
import type { TransportName } from '../../transports/transport.ts';

/** A machine where these cells work, each written as `transport on runtime`. */
function machine(...cells: readonly string[]): Survey {
  return {
    runtimes: [],
    skipped: [],
    versions: {},
    cells: cells.map((cell) => {
      const [transport, name] = cell.split(' on ') as [TransportName, RuntimeName];
      return { transport, runtime: { name, executable: name } };
    }),
  };
}

const everything = machine(
  'node on node',
  'uring on node',
  'node on bun',
  'bun on bun',
  'uring on bun',
  'deno on deno',
);
const withoutRings = machine('node on node', 'node on bun', 'bun on bun', 'deno on deno');
const byItself = { generator: undefined, clientTransport: undefined };

type Use = Parameters<typeof chooseClient>[3];

function client(all: Survey, server: TransportName, flags: Partial<GeneratorFlags>, use: Use): string {
  const { runtime, transport } = chooseClient(all, server, { ...byItself, ...flags }, use);
  return `${transport} on ${runtime.name}`;
}

describe('without a word about it', () => {
  test('who is busy gets a ring, on the fastest runtime that has one', () => {
    expect(client(everything, 'node', {}, 'busy')).toBe('uring on bun');
    expect(client(machine('bun on bun', 'node on node', 'uring on node'), 'node', {}, 'busy')).toBe('uring on node');
  });

  test("without one, or when it is about when things are sent, the fastest runtime's own sockets", () => {
    expect(client(withoutRings, 'uring', {}, 'busy')).toBe('bun on bun');
    expect(client(everything, 'uring', {}, 'timed')).toBe('bun on bun');
    expect(client(machine('node on node', 'deno on deno'), 'deno', {}, 'timed')).toBe('node on node');
  });

  test("a server that is reached by WebSocket gets the runtime's own", () => {
    expect(client(everything, 'uws', {}, 'busy')).toBe('bun-ws on bun');
    expect(client(everything, 'uws', { clientTransport: 'uring' }, 'busy')).toBe('bun-ws on bun');
  });

  test('a matrix has one client for each server', () => {
    const clients = chooseClients(everything, 'node', { generator: undefined, clientTransports: undefined });
    expect(clients.map(({ transport }) => transport)).toEqual(['uring']);
  });
});

test('what was asked for is taken', () => {
  expect(client(everything, 'bun', { clientTransport: 'bun' }, 'busy')).toBe('bun on bun');
  expect(client(everything, 'bun', { clientTransport: 'uring' }, 'timed')).toBe('uring on bun');
  expect(client(everything, 'bun', { generator: 'node' }, 'busy')).toBe('uring on node');
  expect(client(everything, 'bun', { generator: 'deno' }, 'busy')).toBe('deno on deno');
  expect(client(everything, 'bun', { clientTransport: 'node' }, 'busy')).toBe('node on node');
});

test('what can not be had is told', () => {
  expect(() => client(withoutRings, 'bun', { clientTransport: 'uring' }, 'busy')).toThrow(
    'the load generator can\'t run on bun, node, deno over uring; "ringkv doctor" says why',
  );
  expect(() => client(machine('node on node'), 'node', { generator: 'bun' }, 'timed')).toThrow(
    'the load generator can\'t run on bun; "ringkv doctor" says why',
  );
});
