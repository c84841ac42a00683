/** Replies wait for the log: on a shard with real records, whose file does what the test tells it to. */
import { crc32 } from 'node:zlib';
import { describe, expect, test } from 'vitest';
import type { Connection, ConnectionHandler } from '../../core/connection.ts';
import { createMapEngine } from '../../core/engine/map.ts';
import { createSwissEngine } from '../../core/engine/swiss.ts';
import { Committer, type FsyncPolicy } from '../../core/log/committer.ts';
import type { CommitFile } from '../../core/log/disk.ts';
import { randomSalt } from '../../core/log/format.ts';
import { Log, type LogSegment } from '../../core/log/log.ts';
import type { Guard } from '../../core/server/guard.ts';
import { HeldReplies } from '../../core/server/held.ts';
import { OutputLender } from '../../core/server/lease.ts';
import { Session } from '../../core/server/session.ts';
import { Shard } from '../../core/server/shard.ts';
import { createGuard, parseTokens } from '../../runtime/tokens.ts';
import { concat } from '../support/bytes.ts';
import { decodeReply, request } from '../support/wire.ts';

const MiB = 1024 * 1024;
const PING = 0;
const GET = 1;
const SET = 2;
const HELLO = 32;

/** A file whose commits are done when the test says so; or at once, but for syncs, as those of a socket's thread are. */
class ManualFile implements CommitFile {
  readonly commits: { readonly sync: boolean; readonly bytes: number }[] = [];
  closed = 0;
  readonly #under: ((error?: Error) => void)[] = [];
  readonly #writesAtOnce: boolean;

  constructor(writesAtOnce: boolean) {
    this.#writesAtOnce = writesAtOnce;
  }

  commit(_offset: number, bytes: Uint8Array, sync: boolean, done: (error?: Error) => void): void {
    this.commits.push({ sync, bytes: bytes.length });
    if (this.#writesAtOnce && !sync) done();
    else this.#under.push(done);
  }

  close(): void {
    this.closed++;
  }

  get underWay(): number {
    return this.#under.length;
  }

  finish(error?: Error): void {
    this.#under.shift()!(error);
  }
}

class Peer implements Connection {
  readonly framing = 'stream';
  readonly #sent: Buffer[] = [];
  pendingBytes = 0;
  sentBytes = 0;
  isRead = true;
  isEnded = false;

  send(bytes: Uint8Array): void {
    if (this.isEnded) throw new Error('send after end');
    this.#sent.push(Buffer.from(bytes));
    this.sentBytes += bytes.length;
  }

  pauseReading(): void {
    this.isRead = false;
  }

  resumeReading(): void {
    this.isRead = true;
  }

  end(): void {
    this.isEnded = true;
  }

  destroy(): void {
    this.isEnded = true;
  }

  /** The payloads of what was sent since the last call. */
  take(): unknown[] {
    let bytes = Buffer.concat(this.#sent.splice(0));
    const payloads: unknown[] = [];
    while (bytes.length > 0) {
      const length = bytes.readUInt32BE(1);
      payloads.push(decodeReply(bytes.subarray(5, 5 + length)));
      bytes = bytes.subarray(5 + length);
    }
    return payloads;
  }
}

function start({
  policy = 'always' as FsyncPolicy,
  engine = 'swiss',
  segmentBytes = 64 * MiB,
  guard = undefined as Guard | undefined,
} = {}) {
  const file = new ManualFile(policy !== 'always');
  const segment = (index: number): LogSegment => ({ index, salt: randomSalt(), sizeBytes: segmentBytes, file });
  const log = new Log(segment(1), { sequence: 0, checksum: 0 }, crc32);
  log.addSegment(segment(2));
  const committer = new Committer(log, policy);
  const shard = new Shard({
    engine: engine === 'map' ? createMapEngine({ redo: true }) : createSwissEngine({ redo: true }),
    identity: { version: '0', runtime: 'test', transport: 'test' },
    now: () => 0,
    shards: () => [[0, 16_383, 'memory:test']],
    log: committer,
    guard,
  });
  let turnsAsked = 0;
  shard.requestTurn = () => turnsAsked++;
  const connect = (): { peer: Peer; handler: ConnectionHandler } => {
    const peer = new Peer();
    return { peer, handler: shard.open(peer) };
  };
  return { file, committer, shard, connect, asked: () => turnsAsked };
}

/** Writes until nothing more is executed, since the first write is not done. */
function fill(shard: Shard, { handler }: { readonly handler: ConnectionHandler }): void {
  const large = request([SET, 'large', Buffer.alloc(MiB)]);
  while (!shard.isFull) {
    handler.data(large);
    shard.turnEnd();
  }
}

/** The codes of the errors in a payload. */
function codes(payload: unknown): unknown[] {
  return (payload as { error?: string }[]).map((result) => result?.error ?? result);
}

describe.each(['swiss', 'map'])('always, engine %s', (engine) => {
  test('replies of a turn leave after the sync that covers it, and a later turn waits for it too', () => {
    const { file, shard, connect } = start({ engine });
    const a = connect();
    const b = connect();
    a.handler.data(request([SET, 'k', 1]));
    shard.turnEnd();
    expect(a.peer.take()).toEqual([]);
    expect(file.commits).toEqual([{ sync: true, bytes: expect.any(Number) }]);
    b.handler.data(request([GET, 'k']));
    shard.turnEnd();
    a.handler.data(request([SET, 'k', 2], [GET, 'k']));
    shard.turnEnd();
    expect(b.peer.take()).toEqual([]);
    expect(file.underWay).toBe(1);
    file.finish();
    // The read of the second turn waited for the first; what was written in the third is being synced now.
    expect(a.peer.take()).toEqual([[true]]);
    expect(b.peer.take()).toEqual([[1]]);
    expect(file.underWay).toBe(1);
    file.finish();
    expect(a.peer.take()).toEqual([[true, 2]]);
  });

  test('what is gathered while a sync is under way is the next one', () => {
    const { file, shard, connect, committer } = start({ engine });
    const { peer, handler } = connect();
    for (let i = 0; i < 100; i++) {
      handler.data(request([SET, `k${i}`, i]));
      shard.turnEnd();
    }
    expect(file.commits.length).toBe(1);
    file.finish();
    expect(file.commits.length).toBe(2);
    file.finish();
    expect(file.underWay).toBe(0);
    expect(peer.take().length).toBe(100);
    expect(committer.info()).toMatchObject({ logRecords: 100, logSyncs: 2, logUnsynced: 0, logState: 'writable' });
  });

  test('a turn that changes nothing, with nothing under way, is answered at once', () => {
    const { file, shard, connect } = start({ engine });
    const { peer, handler } = connect();
    handler.data(request([GET, 'k'], [PING]));
    shard.turnEnd();
    expect(peer.take()).toEqual([[null, 'PONG']]);
    expect(file.commits).toEqual([]);
  });

  test('replies keep their order: what refuses a frame, and the end, come after what is held', () => {
    const { file, shard, connect } = start({ engine });
    const { peer, handler } = connect();
    handler.data(request([SET, 'k', 1]));
    shard.turnEnd();
    handler.data(Buffer.from('GET / HTTP/1.1'));
    shard.turnEnd();
    expect(peer.take()).toEqual([]);
    expect(peer.isEnded).toBe(false);
    file.finish();
    expect(peer.take()).toEqual([[true], expect.objectContaining({ error: 'FRAME' })]);
    expect(peer.isEnded).toBe(true);
  });

  test('a peer that has ended is answered before our end', () => {
    const { file, shard, connect } = start({ engine });
    const { peer, handler } = connect();
    handler.data(request([SET, 'k', 1]));
    handler.end();
    shard.turnEnd();
    expect(peer.isEnded).toBe(false);
    file.finish();
    expect(peer.take()).toEqual([[true]]);
    expect(peer.isEnded).toBe(true);
  });

  test('a connection that is gone gets nothing, and the others theirs', () => {
    const { file, shard, connect } = start({ engine });
    const a = connect();
    const b = connect();
    a.handler.data(request([SET, 'k', 1]));
    b.handler.data(request([SET, 'l', 1]));
    shard.turnEnd();
    a.handler.close();
    file.finish();
    expect(a.peer.take()).toEqual([]);
    expect(b.peer.take()).toEqual([[true]]);
  });

  test('settled resolves when everything is answered', async () => {
    const { file, shard, connect } = start({ engine });
    const { peer, handler } = connect();
    expect(shard.settled()).toBe(undefined);
    handler.data(request([SET, 'k', 1]));
    shard.turnEnd();
    const settled = shard.settled();
    file.finish();
    await settled;
    expect(peer.take()).toEqual([[true]]);
  });

  test('at the end nothing more is executed, so that it comes however much is sent, after all replies', async () => {
    // Two who wrote in turns once kept replies held for as long as they liked.
    const { file, shard, connect } = start({ engine });
    const clients = [connect(), connect()];
    const write = ({ handler }: { readonly handler: ConnectionHandler }): void => {
      handler.data(request([SET, 'k', 1]));
      shard.turnEnd();
    };
    clients.forEach(write);
    let isSettled = false;
    void shard.settled()?.then(() => {
      isSettled = true;
    });
    let answered = 0;
    for (let round = 0; round < 10 && file.underWay > 0; round++) {
      file.finish();
      for (const client of clients) {
        const replies = client.peer.take();
        answered += replies.length;
        if (replies.length > 0) write(client);
      }
    }
    await Promise.resolve();
    expect(isSettled).toBe(true);
    expect(answered).toBe(2);
    expect(shard.info().frames).toBe(answered);
  });

  test('a session that waits for a turn and goes is waited for no more', () => {
    const { file, shard, connect, asked } = start({ engine });
    const peers = Array.from({ length: 10 }, connect);
    fill(shard, peers[0]!);
    for (const { handler } of peers) handler.data(request([PING]));
    expect(peers.some(({ peer }) => peer.isRead)).toBe(false);
    for (const { handler } of peers) handler.close();
    const before = asked();
    while (file.underWay > 0) file.finish();
    expect(shard.isFull).toBe(false);
    expect(asked()).toBe(before);
    expect(shard.turnEnd()).toBe(false);
  });

  test('a connection that drains lets nobody go on whose replies are held', () => {
    const { file, shard, connect } = start({ engine });
    const { peer, handler } = connect();
    handler.data(concat(request([SET, 'k', 'x'.repeat(MiB)]), request([GET, 'k']), request([GET, 'k'])));
    shard.turnEnd();
    expect([peer.isRead, shard.info().frames]).toEqual([false, 2]);
    handler.drain();
    shard.turnEnd();
    expect(shard.info().frames).toBe(2);
    file.finish();
    while (shard.turnEnd());
    expect(peer.take().length).toBe(3);
    expect(peer.isRead).toBe(true);
  });

  test('a client that has brought its token is no stranger because the disk stalls', () => {
    const token = 'a-token-of-full-access';
    const { file, shard, connect } = start({ engine, guard: createGuard(parseTokens(token, 'tokens')) });
    const hello = request([HELLO, { version: 1, token }]);
    const writer = connect();
    writer.handler.data(hello);
    fill(shard, writer);
    const [late, silent, deaf] = [connect(), connect(), connect()];
    late.handler.data(hello);
    // What is kept of this one waits until it has read, so it could make that last.
    deaf.handler.data(hello);
    deaf.peer.pendingBytes = 1;
    for (let i = 0; i < 12; i++) shard.tick();
    expect(shard.info().refusedUnauthenticated).toBe(2);
    while (file.underWay > 0) file.finish();
    while (shard.turnEnd());
    expect(late.peer.take()).toMatchObject([[{ access: 'full' }]]);
    expect([late, silent, deaf].map(({ peer }) => peer.isEnded)).toEqual([false, true, true]);
  });

  test('many small turns take little memory, and count for more than their bytes', () => {
    // Each once kept an output of the engine's, of 64 KiB, until its memory was exhausted.
    const { file, shard, connect } = start({ engine });
    const { peer, handler } = connect();
    handler.data(request([SET, 'k', 1]));
    shard.turnEnd();
    const before = shard.engine.memory.length;
    const get = request([GET, 'k']);
    for (let i = 0; i < 1000; i++) {
      handler.data(get);
      shard.turnEnd();
    }
    expect(shard.engine.memory.length).toBeLessThanOrEqual(before + MiB);
    file.finish();
    expect(peer.take()).toEqual([[true], ...Array(1000).fill([1])]);
    const held = new HeldReplies(shard.engine, new OutputLender(shard.engine));
    const session = new Session(shard, peer);
    for (let i = 1; i <= 1000; i++) held.hold(i, session, get);
    expect(held.bytes).toBeGreaterThan(1000 * (get.length + 256));
    held.release(1000);
    expect(held.bytes).toBe(0);
  });

  test('with too much held back nothing more is executed until the log has caught up', () => {
    const { file, shard, connect, asked } = start({ engine });
    const peers = Array.from({ length: 100 }, connect);
    peers[0]!.handler.data(request([SET, 'k', 'x'.repeat(MiB)]));
    for (const { handler } of peers) {
      handler.data(request([SET, 'l', true], [GET, 'k']));
      shard.turnEnd();
    }
    expect(shard.isFull).toBe(true);
    const before = asked();
    expect(shard.turnEnd()).toBe(false);
    expect(peers.filter(({ peer }) => !peer.isRead).length).toBeGreaterThan(30);
    const answered = new Set<unknown>();
    for (let rounds = 0; rounds < 1000 && answered.size < 100; rounds++) {
      if (file.underWay > 0) file.finish();
      while (shard.turnEnd());
      for (const one of peers)
        for (const reply of one.peer.take()) if ((reply as unknown[]).length === 2) answered.add(one);
    }
    expect(asked()).toBeGreaterThan(before);
    expect(answered.size).toBe(100);
    expect(peers.every(({ peer }) => peer.isRead)).toBe(true);
  });
});

describe('a failure', () => {
  test('answers LOG in the place of every result that waited, once, and later ones as usual', () => {
    const { file, shard, connect, committer } = start();
    const { peer, handler } = connect();
    handler.data(request([SET, 'k', 1], [GET, 'k']));
    shard.turnEnd();
    handler.data(request([GET, 'k']));
    shard.turnEnd();
    handler.data(request([PING]));
    file.finish(new Error('EIO'));
    expect(peer.take().map(codes)).toEqual([['LOG', 'LOG'], ['LOG'], ['LOG']]);
    expect(committer.info()).toMatchObject({ logState: 'read-only', logFailures: 1 });
    handler.data(request([PING], [SET, 'k', 2], [GET, 'k']));
    shard.turnEnd();
    expect(peer.take().map(codes)).toEqual([['PONG', 'LOG', 1]]);
    expect(file.underWay).toBe(0);
  });

  test('counts in bytesOut what was answered, and not what it was in the place of', () => {
    const { file, shard, connect } = start();
    const { peer, handler } = connect();
    handler.data(request([SET, 'k', 1], [GET, 'k']));
    shard.turnEnd();
    expect(shard.info().bytesOut).toBe(0);
    file.finish(new Error('EIO'));
    expect(shard.info().bytesOut).toBe(peer.sentBytes);
    // Answered with the error of a whole payload.
    handler.data(Buffer.from('GET / HTTP/1.1'));
    shard.turnEnd();
    expect(peer.take()).toMatchObject([expect.anything(), { error: 'FRAME' }]);
    expect(shard.info().bytesOut).toBe(peer.sentBytes);
  });

  test('lets those go on who had to wait, because too much was yet to be written', () => {
    const { file, shard, connect, asked } = start();
    const peers = Array.from({ length: 80 }, connect);
    peers[0]!.handler.data(request([SET, 'k', 1]));
    shard.turnEnd();
    const large = request([SET, 'l', Buffer.alloc(MiB)]);
    for (const { handler } of peers) {
      handler.data(large);
      shard.turnEnd();
    }
    expect(shard.isFull).toBe(true);
    expect(peers.every(({ peer }) => peer.isRead)).toBe(false);
    const before = asked();
    file.finish(new Error('EIO'));
    expect(shard.isFull).toBe(false);
    expect(asked()).toBeGreaterThan(before);
    while (shard.turnEnd());
    expect(peers.every(({ peer }) => peer.isRead)).toBe(true);
    expect(peers.flatMap(({ peer }) => peer.take()).map(codes)).toEqual(Array(81).fill(['LOG']));
    peers.at(-1)!.handler.data(request([GET, 'k']));
    shard.turnEnd();
    expect(peers.at(-1)!.peer.take()).toEqual([[1]]);
  });

  test('of a sync in the background is noticed, though all were answered', () => {
    const { file, shard, connect, committer } = start({ policy: 'everysec' });
    const { peer, handler } = connect();
    handler.data(request([SET, 'k', 1]));
    shard.turnEnd();
    expect(peer.take()).toEqual([[true]]);
    shard.tick();
    file.finish(new Error('EIO'));
    expect(committer.failure?.message).toBe('EIO');
    shard.tick();
    expect(file.underWay).toBe(0);
  });
});

describe('everysec', () => {
  test('answers once written, and syncs at the next tick, one sync at a time', () => {
    const { file, shard, connect, committer } = start({ policy: 'everysec' });
    const { peer, handler } = connect();
    handler.data(request([SET, 'k', 1], [GET, 'k']));
    shard.turnEnd();
    expect(peer.take()).toEqual([[true, 1]]);
    shard.tick();
    handler.data(request([SET, 'k', 2]));
    shard.turnEnd();
    expect(peer.take()).toEqual([[true]]);
    expect(file.commits.map(({ sync }) => sync)).toEqual([false, true, false]);
    expect(committer.info()).toMatchObject({ logUnsynced: 2 });
    file.finish();
    expect(committer.info()).toMatchObject({ logUnsynced: 1 });
    shard.tick();
    file.finish();
    expect(committer.info()).toMatchObject({ logUnsynced: 0 });
    shard.tick();
    expect(file.underWay).toBe(0);
  });

  test('acknowledges nothing more while a sync is late', () => {
    const { file, shard, connect } = start({ policy: 'everysec' });
    const { peer, handler } = connect();
    handler.data(request([SET, 'k', 1]));
    shard.turnEnd();
    shard.tick();
    shard.tick();
    peer.take();
    handler.data(request([SET, 'k', 2]));
    shard.turnEnd();
    expect(peer.take()).toEqual([]);
    file.finish();
    expect(peer.take()).toEqual([[true]]);
  });
});

describe.each(['everysec', 'no'] as const)('%s', (policy) => {
  test('a segment is synced before the next one is written to', () => {
    const { file, shard, connect } = start({ policy, segmentBytes: 8192 });
    const { peer, handler } = connect();
    const value = 'x'.repeat(3000);
    handler.data(request([SET, 'a', value]));
    shard.turnEnd();
    shard.tick();
    const isSyncing = policy === 'everysec';
    handler.data(request([SET, 'b', value]));
    shard.turnEnd();
    handler.data(request([SET, 'c', value]));
    shard.turnEnd();
    expect(peer.take()).toEqual([[true]]);
    expect(file.underWay).toBe(1);
    file.finish();
    if (isSyncing) file.finish();
    expect(peer.take()).toEqual([[true], [true]]);
    expect(file.closed).toBe(1);
    expect(file.commits.filter(({ bytes }) => bytes > 0).length).toBe(2);
  });
});
