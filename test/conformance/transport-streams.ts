/** The part of the transports' conformance suite that is about streams of bytes alone. */
import { randomBytes } from 'node:crypto';
import { expect, it } from 'vitest';
import type { ServerUnderTest } from '../support/transport-peers.ts';

const MEBIBYTE = 1024 * 1024;

/** What only streams have: two directions that end one by one, and a kernel that makes the peer wait. */
export function streamSuite(server: () => ServerUnderTest, floodBytes: () => Uint8Array): void {
  it('answers all that came before the peer half-closed', async () => {
    const peer = await server().dial();
    const sent = randomBytes(6 * MEBIBYTE);
    peer.pause();
    peer.write(Buffer.from('e'));
    peer.write(sent);
    peer.end();
    peer.resume();
    expect((await peer.read(sent.length)).equals(sent)).toBe(true);
    await peer.ended;
    await server().event(/^close \d+ mode e clean/);
  });

  it('answers bytes and the end of the stream that come together', async () => {
    for (let i = 0; i < 50; i++) {
      const peer = await server().dial();
      peer.write(Buffer.from('eping'));
      peer.end();
      expect(String(await peer.read(4))).toBe('ping');
      await peer.ended;
    }
  });

  it('half-closes and goes on receiving', async () => {
    const peer = await server().dial();
    const before = await server().stats();
    peer.write(Buffer.from('h'));
    expect(String(await peer.read(3))).toBe('bye');
    await peer.ended;
    peer.write(randomBytes(100_000));
    peer.end();
    await server().event(/^close \d+ mode h clean/);
    expect((await server().stats()).received - before.received).toBe(100_000);
  });

  it('really stops reading while paused, and goes on where it stopped', async () => {
    const peer = await server().dial();
    const before = await server().stats();
    peer.write(Buffer.from('p'));
    peer.write(new Uint8Array(32 * MEBIBYTE));
    peer.end();
    // Each round trip gives the server every chance to read on; the one call that may be under way brings 64 KiB or so.
    for (let i = 0; i < 30; i++) {
      expect((await server().stats()).received - before.received).toBeLessThanOrEqual(MEBIBYTE);
    }
    expect(peer.unsentBytes).toBeGreaterThan(16 * MEBIBYTE);
    server().command('resume');
    await server().event(/^end \d+ mode p/);
    expect((await server().stats()).received - before.received).toBe(32 * MEBIBYTE);
    await server().event(/^close \d+ mode p clean/);
  });

  it('sends everything before it half-closes, when the peer ends with a reply under way', async () => {
    const peer = await server().dial();
    peer.pause();
    peer.write(Buffer.from('f'));
    peer.end();
    await server().event(/^end \d+ mode f/);
    peer.resume();
    const expected = floodBytes();
    expect((await peer.read(expected.length)).equals(expected)).toBe(true);
    await peer.ended;
    await server().event(/^close \d+ mode f clean/);
  });
}

/** How a listener closes whose connections have two ends. */
export function closesByHalves(start: () => Promise<ServerUnderTest>, floodBytes: () => Uint8Array): void {
  it('sends what is pending, half-closes, accepts nobody any more, and resolves when all have gone', async () => {
    const closing = await start();
    const slow = await closing.dial();
    const idle = await closing.dial();
    idle.write(Buffer.from('ex'));
    await idle.read(1);
    slow.pause();
    slow.write(Buffer.from('f'));
    await closing.event(/^pending/);
    closing.command('close 60000');
    await idle.ended;
    // Nobody would answer this, so nobody reads it; it must not cost the other direction what is on its way.
    idle.write(Buffer.from('late'));
    idle.end();
    await expect(closing.dial()).rejects.toThrow(/ECONNREFUSED|ENOENT/);
    slow.write(new Uint8Array(MEBIBYTE));
    slow.resume();
    const expected = floodBytes();
    expect((await slow.read(expected.length)).equals(expected)).toBe(true);
    await slow.ended;
    expect(closing.lines.some((line) => line.startsWith('closed'))).toBe(false);
    slow.end();
    await closing.event(/^closed 0/);
    expect(closing.lines.filter((line) => line.startsWith('WRONG'))).toEqual([]);
    await closing.stop();
  });
}
