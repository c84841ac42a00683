/** A connection of the YCSB generator: it does what was drawn, however its replies are cut, and a wrong one ends the run. */
import { afterEach, beforeEach, expect, test } from 'vitest';
import { Phase } from '../../bench/suites/ycsb/phase.ts';
import { Records } from '../../bench/suites/ycsb/records.ts';
import { Session } from '../../bench/suites/ycsb/session.ts';
import type { OperationName } from '../../bench/suites/ycsb/workload-names.ts';
import type { Drawn } from '../../bench/suites/ycsb/workloads.ts';
import type { WriteBack } from '../../bench/suites/ycsb/ycsb-plan.ts';
import { type Client, connect } from '../../runtime/client.ts';
import { type Server, startServer } from '../../runtime/server.ts';
import { parseAddress } from '../../transports/address.ts';
import { createTransport } from '../../transports/transports.ts';

const records = new Records(3, 40);
const KEYS = ['user000000000000', 'user000000000001'];

let server: Server;
let client: Client;
const sessions: Session[] = [];

beforeEach(async () => {
  server = await startServer({ listen: 'tcp://127.0.0.1:0', transport: 'node', engine: 'map' });
  client = await connect(server.address);
});

afterEach(async () => {
  for (const session of sessions.splice(0)) session.destroy();
  await client.close();
  await server.close(0);
});

/** Opens a connection whose replies go to the session as `deliver` lets them. */
async function open(
  writeBack: WriteBack,
  deliver: (bytes: Uint8Array, session: Session) => void = (bytes, session) => session.data(bytes),
): Promise<Session> {
  let opened: Session | undefined;
  await createTransport('node').connect(parseAddress(server.address), (connection) => {
    const session = new Session(connection, records, writeBack);
    opened = session;
    return {
      data: (bytes) => deliver(bytes, session),
      drain: () => session.drain(),
      end: () => session.end(),
      close: (error) => session.close(error),
    };
  });
  sessions.push(opened!);
  return opened!;
}

function drawn(operation: OperationName, record: number, version: number, field = 0): Drawn {
  return { operation, record, version, field };
}

/** Does these, one after the other on each session, and resolves with what became of it. */
async function run(all: readonly Session[], ...operations: readonly Drawn[]): Promise<Phase> {
  const left = [...operations];
  const phase = new Phase(all, () => left.shift());
  await phase.finished;
  return phase;
}

const STORED = [drawn('insert', 0, 0), drawn('insert', 1, 0)];

/** The digit of the version in each field of a record. */
async function versions(key: string): Promise<string[]> {
  return Object.values((await client.get<Record<string, string>>(key))!).map((text) => text[16]!);
}

test.each(['cas', 'set'] as const)(
  'does what was drawn, its replies coming byte by byte, and writes back by %s',
  async (writeBack) => {
    const session = await open(writeBack, (bytes, one) => {
      for (let at = 0; at < bytes.length; at++) one.data(bytes.subarray(at, at + 1));
    });
    const work = [drawn('read', 0, 0), drawn('update', 0, 4), drawn('readModifyWrite', 1, 7, 2), drawn('read', 1, 0)];
    const phase = await run([session], ...STORED, ...work);
    expect(await client.count()).toBe(2);
    expect(await versions(KEYS[0]!)).toEqual(['4', '4', '4']);
    expect(await versions(KEYS[1]!)).toEqual(['0', '0', '7']);
    expect(phase.operationsDone).toBe(6);
    const counts = [...phase.recorded].map(([operation, { moments }]) => [operation, moments.count]);
    expect(Object.fromEntries(counts)).toEqual({ insert: 2, read: 3, update: 2, readModifyWrite: 1 });
  },
);

test('a read-modify-write that comes too late begins again, and loses nothing', async () => {
  // What one read is delivered only when the other has written: its CAS then expects what is no more there.
  let hold: (() => void) | undefined;
  const slow = await open('cas', (bytes, session) => {
    const copy = bytes.slice();
    if (hold === undefined && copy.length > 100) hold = () => session.data(copy);
    else session.data(copy);
  });
  const fast = await open('cas');
  await run([fast], ...STORED);
  const late = run([slow], drawn('readModifyWrite', 0, 5, 0));
  await expect.poll(() => hold).toBeDefined();
  await run([fast], drawn('readModifyWrite', 0, 6, 1));
  hold!();
  const phase = await late;
  expect(phase.lostWrites).toBe(1);
  expect(phase.operationsDone).toBe(1);
  expect(await versions(KEYS[0]!)).toEqual(['5', '6', '0']);
});

const lies: readonly [what: string, lie: (bytes: Uint8Array) => Uint8Array, message: RegExp][] = [
  // The last digit of the key in the first field; the first read of a session is looked at in full.
  [
    'a record of another key',
    (bytes) => bytes.with(5 + 1 + 1 + 7 + 2 + 15, 0x39),
    /GET of user000000000000 \(read\) answered/,
  ],
  ['nil', () => Uint8Array.of(0xce, 0, 0, 0, 2, 0x91, 0xc0), /answered nil instead of a record of \d+ bytes/],
  ['two results', () => Uint8Array.of(0xce, 0, 0, 0, 3, 0x92, 0xc0, 0xc0), /no array of one result/],
  ['no frame', (bytes) => bytes.with(0, 0x01), /starts with the byte 1 instead of 206/],
  ['more than was asked for', (bytes) => Uint8Array.of(...bytes, 0xce), /a reply came that nobody asked for/],
  ['a frame without an end', () => Uint8Array.of(0xce, 0xff, 0, 0, 0), /a reply of \d+ bytes/],
];

test.each(lies)('a reply that is %s fails the run', async (_what, lie, message) => {
  await run([await open('cas')], ...STORED);
  const session = await open('cas', (bytes, one) => one.data(lie(bytes)));
  await expect(run([session], drawn('read', 0, 0))).rejects.toThrow(message);
  // And whoever goes on with that connection hears of it.
  await expect(run([session], drawn('read', 0, 0))).rejects.toThrow(message);
});

test('a missing record, a missing reply and a lost connection fail the run', async () => {
  await expect(run([await open('cas')], drawn('read', 9, 0))).rejects.toThrow(/user000000000009 \(read\) answered nil/);

  const silent = await open('cas', () => {});
  const missing = expect(run([silent], drawn('read', 0, 0))).rejects.toThrow(/no reply to a request for 0 s/);
  silent.look(0);
  await missing;

  const cut = await open('cas', () => {});
  const lost = expect(run([cut], drawn('read', 0, 0))).rejects.toThrow(/the server ended a connection|is lost/);
  await server.close(0);
  await lost;
});
