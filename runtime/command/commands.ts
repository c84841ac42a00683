/**
 * The commands, their flags and their examples. What a command does is in a file of its own, loaded when it is called, so
 * that a server starts without what only the others need.
 */
import { ENGINE_NAMES, EVICTIONS, MAX_ENGINE_BYTES } from '../../core/engine/engine.ts';
import { FSYNC_POLICIES } from '../../core/log/committer.ts';
import { DEFAULT_MAX_FRAME_BYTES, MAX_REPLY_BYTES } from '../../core/protocol.ts';
import { formatAddress, parseAddress } from '../../transports/address.ts';
import type { TransportName } from '../../transports/transport.ts';
import { DEFAULT_ADDRESS, DEFAULT_MAX_LOG_BYTES, MAX_LOG_BYTES_MIN, MAX_SHARDS } from '../defaults.ts';
import { RUNTIME_NAMES } from '../runtime.ts';
import { type Command, type CommandGroup, defineCommand } from './cli.ts';
import { usageError } from './errors.ts';
import {
  choice,
  type Flag,
  flag,
  formatSize,
  integer,
  integerOrAuto,
  optionalFlag,
  size,
  switchFlag,
} from './flags.ts';
import { limitFlags, limitsOf } from './limit-flags.ts';

/** The transports that reach other processes, which `memory` does not. */
export const TRANSPORT_NAMES = [
  'node',
  'bun',
  'deno',
  'uring',
  'uws',
  'bun-ws',
  'deno-ws',
] as const satisfies readonly TransportName[];

const CARRIERS = 'node, bun, deno or uring, or as WebSocket by uws, bun-ws or deno-ws';

const transportFlag = optionalFlag(
  'name',
  `Carry the bytes by ${CARRIERS}`,
  choice(TRANSPORT_NAMES),
  "the runtime's own",
);

const serverTransportFlag = flag(
  'name',
  `Carry the bytes by ${CARRIERS}; auto: by io_uring where it can be had, else by the runtime's own`,
  choice<TransportName | 'auto'>(['auto', ...TRANSPORT_NAMES]),
  'auto',
);

const runtimeFlag = optionalFlag(
  'name',
  'Run under node, bun or deno, found in node_modules/.bin or on PATH',
  choice(RUNTIME_NAMES),
  'the one that runs this',
);

const tlsFlags = (aboutCert: string, aboutCa: string) => ({
  tlsCert: optionalFlag('file', aboutCert, String, 'none'),
  tlsKey: optionalFlag('file', 'The key of that certificate', String, 'none'),
  tlsCa: optionalFlag('file', aboutCa, String, 'none'),
});

const serveCommand = defineCommand({
  name: 'serve',
  about: 'Run a server until SIGTERM or SIGINT',
  flags: {
    listen: addressFlag(
      'Accept connections there: tcp://host:port, ws://host:port, with TLS tls:// or wss://, port 0 for any free one, or unix:/path',
    ),
    runtime: runtimeFlag,
    transport: serverTransportFlag,
    engine: flag('name', 'Hold the data in swiss or map', choice(ENGINE_NAMES), 'swiss'),
    maxFrame: flag(
      'size',
      'Refuse requests that are longer',
      size(1024, MAX_REPLY_BYTES),
      formatSize(DEFAULT_MAX_FRAME_BYTES),
    ),
    maxMemory: flag(
      'size',
      'Let keys, values and index of a shard take no more; see --eviction',
      size(1024 ** 2, MAX_ENGINE_BYTES),
      formatSize(MAX_ENGINE_BYTES),
    ),
    eviction: flag(
      'name',
      'When that is full, refuse writes: none, or remove keys that were not asked for lately: clock',
      choice(EVICTIONS),
      'none',
    ),
    data: optionalFlag(
      'dir',
      'Keep the data in this directory, and serve again what it holds',
      String,
      'in memory alone: a cache',
    ),
    fsync: flag(
      'policy',
      'With --data, make a write durable always (before it is answered), everysec (within a second) or no (when the system likes)',
      choice(FSYNC_POLICIES),
      'everysec',
    ),
    maxLog: flag(
      'size',
      "With --data, make a snapshot when a shard's log has more",
      size(MAX_LOG_BYTES_MIN, Number.MAX_SAFE_INTEGER),
      formatSize(DEFAULT_MAX_LOG_BYTES),
    ),
    snapshotEvery: flag(
      'seconds',
      'With --data, make a snapshot so long after the last one, if there were writes; 0 for never',
      integer(0, 1_000_000_000),
      '0',
    ),
    shards: flag(
      'count',
      'Divide the keys over so many threads, which listen at ports side by side; auto: one for each core',
      integerOrAuto(1, MAX_SHARDS),
      '1',
    ),
    tokenFile: optionalFlag(
      'file',
      'Admit clients that bring a token of this file: one a line, "read-only" before those that may only read',
      String,
      'none; those of RINGKV_TOKEN count in any case',
    ),
    ...tlsFlags(
      'Show this certificate to clients at tls:// or wss://',
      'Take only clients with a certificate that one of these has signed',
    ),
    insecure: switchFlag('Listen where other machines come though no token is asked for'),
    ...limitFlags,
  },
  examples: [
    'serve',
    'serve --listen tcp://127.0.0.1:7465 --max-memory 2g --eviction clock',
    'serve --listen unix:/run/ringkv.sock',
    'serve --shards auto',
    'serve --data /var/lib/ringkv --fsync always',
    'serve --runtime bun --transport bun   # without io_uring',
    'serve --listen ws://127.0.0.1:7464   # for browsers',
    'serve --listen tcp://127.0.0.1:0   # the ready line on stdout tells the port',
  ],
  async run(values, _words, context) {
    const { runtime, listen, transport, engine, maxFrame, maxMemory, shards: asked, tokenFile, insecure } = values;
    if (runtime !== undefined && runtime !== context.runtime.name) {
      return (await import('./relaunch.ts')).relaunch(runtime, context);
    }
    const shards = asked === 'auto' ? Math.min(context.runtime.parallelism, MAX_SHARDS) : asked;
    const options = {
      listen,
      transport,
      engine,
      maxFrameBytes: maxFrame,
      memoryBytesMax: maxMemory,
      eviction: values.eviction,
      shards,
      tokenFile,
      tokens: context.runtime.env.RINGKV_TOKEN,
      tokensSource: 'RINGKV_TOKEN',
      insecure,
      tlsCert: values.tlsCert,
      tlsKey: values.tlsKey,
      tlsCa: values.tlsCa,
      limits: limitsOf(values),
      data: values.data,
      fsync: values.fsync,
      maxLogBytes: values.maxLog,
      snapshotEveryMs: values.snapshotEvery * 1000,
    };
    const { serve } = await import('./serve.ts');
    return serve(options, context.runtime);
  },
});

const shellCommand = defineCommand({
  name: 'shell',
  about: 'Talk to a server: one command, commands from a pipe, or a prompt',
  words: '[...command]',
  flags: {
    connect: addressFlag(
      'Talk to the server at tcp://host:port, ws://host:port, with TLS tls:// or wss://, or unix:/path',
    ),
    runtime: runtimeFlag,
    transport: transportFlag,
    tokenFile: optionalFlag('file', 'Bring the first token of this file', String, 'the first of RINGKV_TOKEN, or none'),
    ...tlsFlags(
      'Show this certificate to a server that asks for one',
      'Trust servers whose certificate one of these has signed',
    ),
  },
  examples: [
    'shell',
    'shell set greeting hello',
    'shell set user \'{"name":"Ada"}\' ttl 10m',
    'shell --connect unix:/run/ringkv.sock get greeting',
    'shell < commands.txt',
    'shell help',
  ],
  async run({ runtime, connect, transport, tokenFile, tlsCert, tlsKey, tlsCa }, words, context) {
    if (runtime !== undefined && runtime !== context.runtime.name) {
      return (await import('./relaunch.ts')).relaunch(runtime, context);
    }
    const { shell } = await import('./shell.ts');
    return shell({ address: connect, transport, tokenFile, tlsCert, tlsKey, tlsCa }, words, context.runtime);
  },
});

const snapshotCommand = defineCommand({
  name: 'snapshot',
  about: 'Have the server that uses a data directory make a snapshot, after which its log is short',
  flags: { data: optionalFlag('dir', 'The directory that the server was given', String, 'none: it has to be given') },
  examples: ['snapshot --data /var/lib/ringkv'],
  async run({ data }) {
    if (data === undefined) throw usageError('--data says which directory');
    return (await import('./snapshot.ts')).snapshot(data);
  },
});

const doctorCommand = defineCommand({
  name: 'doctor',
  about: 'Show which runtimes and transports work here, and why the others do not',
  flags: {
    json: switchFlag('Print JSON instead of a table'),
    runtime: optionalFlag('name', 'Look at node, bun or deno alone', choice(RUNTIME_NAMES), 'all three'),
  },
  examples: ['doctor', 'doctor --runtime bun', 'doctor --json'],
  async run({ json, runtime }, _words, context) {
    const { doctor } = await import('./doctor.ts');
    return doctor(runtime === undefined ? RUNTIME_NAMES : [runtime], json, context);
  },
});

const repairCommand = defineCommand({
  name: 'repair',
  about: 'Cut a damaged log where its damage begins, after telling what that loses',
  flags: {
    data: optionalFlag(
      'directory',
      'The directory that serve was given; no server may have it',
      String,
      'none: it has to be given',
    ),
    yes: switchFlag('Do it without asking'),
  },
  examples: ['repair --data /var/lib/ringkv', 'repair --data /var/lib/ringkv --yes'],
  async run({ data, yes }) {
    if (data === undefined) throw usageError('which directory? repair --data DIR');
    const { repair } = await import('./repair.ts');
    return repair(data, yes);
  },
});

const benchGroup: CommandGroup = {
  name: 'bench',
  about: 'Measure: "ringkv bench --help" lists the suites',
  commands: async () => (await import('../../bench/command.ts')).benchCommands,
};

export const commands: readonly (Command | CommandGroup)[] = [
  serveCommand,
  shellCommand,
  snapshotCommand,
  doctorCommand,
  repairCommand,
  benchGroup,
];

function addressFlag(about: string): Flag<string | undefined> {
  const otherwise = `${DEFAULT_ADDRESS}, or ws: for WebSocket`;
  return optionalFlag('address', about, parseSocketAddress, otherwise);
}

/** An address other processes can reach, in its usual form. */
function parseSocketAddress(text: string): string {
  const address = parseAddress(text);
  if (address.kind === 'memory')
    throw new Error(
      'expected tcp://host:port, unix:/path or ws://host:port, with TLS tls:// or wss://; memory: is for one process',
    );
  return formatAddress(address);
}
