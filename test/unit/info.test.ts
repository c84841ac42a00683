/** Adding up what shards tell of themselves. */
import { expect, test } from 'vitest';
import { addUpInfo } from '../../core/info.ts';
import { Shard } from '../../core/server/shard.ts';
import { oracle } from '../support/engines.ts';
import { request } from '../support/wire.ts';

const shardInfo = (startedMs: number, nowMs: number): Record<string, string | number> => {
  let time = startedMs;
  const shard = new Shard({
    engine: oracle({ memoryBytesMax: 1000 }),
    identity: { version: '1.2.3', runtime: 'test/0', transport: 'memory' },
    now: () => time,
    shards: () => [
      [0, 8191, 'memory:0'],
      [8192, 16_383, 'memory:1'],
    ],
    processFigures: () => ({ pid: 7, cpuUserMicros: 1000, residentBytes: 5000 }),
  });
  time = nowMs;
  return shard.info();
};

test('counters and bytes are summed, the server and its process are told of once, and times are the longest', () => {
  const shards: Record<string, string | number>[] = [
    { ...shardInfo(1000, 5000), connections: 2, keys: 10, bytesIn: 1, recoveryMs: 100 },
    { ...shardInfo(4000, 5000), connections: 3, keys: 20, bytesIn: 2, recoveryMs: 400 },
  ];
  expect(addUpInfo(shards)).toEqual({
    ...shards[0],
    server: 'ringkv',
    version: '1.2.3',
    shards: 2,
    uptimeMs: 4000,
    recoveryMs: 400,
    connections: 5,
    keys: 30,
    bytesIn: 3,
    limitBytes: 2000,
    reservedBytes: Number(shards[0]!.reservedBytes) + Number(shards[1]!.reservedBytes),
    pid: 7,
    cpuUserMicros: 1000,
    residentBytes: 5000,
  });
});

test('of one shard, it is what that tells', () => {
  const info = shardInfo(0, 5000);
  expect(addUpInfo([info])).toEqual(info);
});

test('every figure is summed, but for those that are the same in all shards', () => {
  const once = ['server', 'version', 'runtime', 'transport', 'engine', 'shards', 'uptimeMs'];
  const process = ['pid', 'cpuUserMicros', 'residentBytes'];
  const ones = Object.fromEntries(Object.keys(shardInfo(0, 0)).map((name) => [name, 1]));
  const sums = Object.entries(addUpInfo([ones, ones])).filter(([, value]) => value === 2);
  const expected = Object.keys(ones).filter((name) => !once.includes(name) && !process.includes(name));
  expect(sums.map(([name]) => name).sort()).toEqual(expected.sort());
});

test('a turn that takes 5 ms, until all that it executed has left, counts as slow', () => {
  let nowMs = 1000;
  let sendMs = 0;
  const shard = new Shard({
    engine: oracle(),
    identity: { version: '1.2.3', runtime: 'test/0', transport: 'memory' },
    now: () => nowMs,
    shards: () => [[0, 16_383, 'memory:0']],
  });
  const session = shard.open({
    framing: 'stream',
    pendingBytes: 0,
    send: () => {
      nowMs += sendMs;
    },
    pauseReading() {},
    resumeReading() {},
    end() {},
    destroy() {},
  });
  for (const millis of [0, 5, 4, 100]) {
    sendMs = millis;
    for (let i = 0; i < 3; i++) session.data(request([0]));
    shard.turnEnd();
    // What passes between two turns is none of them.
    nowMs += 1000;
    shard.turnEnd();
  }
  expect(shard.info()).toMatchObject({ turns: 4, slowTurns: 2 });
});
