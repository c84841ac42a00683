/**
 * The commands, their flags and their examples. What a command does is in a file of its own, loaded when it is called, so
 * that a server starts without what only the others need.
 */
import { type EngineName, MAX_ENGINE_BYTES } from '../../core/engine/engine.ts';
import { DEFAULT_MAX_FRAME_BYTES, MAX_REPLY_BYTES } from '../../core/protocol.ts';
import { formatAddress, parseAddress } from '../../transports/address.ts';
import type { TransportName } from '../../transports/transport.ts';
import { DEFAULT_ADDRESS } from '../defaults.ts';
import { RUNTIME_NAMES } from '../runtime.ts';
import { type Command, type CommandGroup, defineCommand } from './cli.ts';
import { choice, type Flag, flag, formatSize, optionalFlag, size, switchFlag } from './flags.ts';

/** The transports that reach other processes, which `memory` does not. */
export const TRANSPORT_NAMES = ['node', 'bun', 'deno'] as const satisfies readonly TransportName[];

const transportFlag = optionalFlag(
  'name',
  'Carry the bytes by node, bun or deno',
  choice(TRANSPORT_NAMES),
  "the runtime's own",
);

const runtimeFlag = optionalFlag(
  'name',
  'Run under node, bun or deno, found in node_modules/.bin or on PATH',
  choice(RUNTIME_NAMES),
  'the one that runs this',
);

const serveCommand = defineCommand({
  name: 'serve',
  about: 'Run a server until SIGTERM or SIGINT',
  flags: {
    listen: addressFlag('Accept connections there: tcp://host:port, port 0 for any free one, or unix:/path'),
    runtime: runtimeFlag,
    transport: transportFlag,
    engine: flag('name', 'Hold the data in swiss or map', choice<EngineName>(['swiss', 'map']), 'swiss'),
    maxFrame: flag(
      'size',
      'Refuse requests that are longer',
      size(1024, MAX_REPLY_BYTES),
      formatSize(DEFAULT_MAX_FRAME_BYTES),
    ),
    memory: flag(
      'size',
      'Refuse writes when keys, values and index take more',
      size(1024 ** 2, MAX_ENGINE_BYTES),
      formatSize(MAX_ENGINE_BYTES),
    ),
  },
  examples: [
    'serve',
    'serve --listen tcp://127.0.0.1:7465 --memory 2g',
    'serve --listen unix:/run/ringkv.sock',
    'serve --runtime bun --transport bun',
    'serve --listen tcp://127.0.0.1:0   # the ready line on stdout tells the port',
  ],
  async run({ runtime, listen, transport, engine, maxFrame, memory }, _words, context) {
    if (runtime !== undefined && runtime !== context.runtime.name) {
      return (await import('./relaunch.ts')).relaunch(runtime, context);
    }
    const options = { listen, engine, maxFrameBytes: maxFrame, memoryBytesMax: memory };
    const { serve } = await import('./serve.ts');
    return serve(transport === undefined ? options : { ...options, transport }, context.runtime);
  },
});

const shellCommand = defineCommand({
  name: 'shell',
  about: 'Talk to a server: one command, commands from a pipe, or a prompt',
  words: '[...command]',
  flags: {
    connect: addressFlag('Talk to the server at tcp://host:port or unix:/path'),
    runtime: runtimeFlag,
    transport: transportFlag,
  },
  examples: [
    'shell',
    'shell set greeting hello',
    'shell set user \'{"name":"Ada"}\' ttl 10m',
    'shell --connect unix:/run/ringkv.sock get greeting',
    'shell < commands.txt',
    'shell help',
  ],
  async run({ runtime, connect, transport }, words, context) {
    if (runtime !== undefined && runtime !== context.runtime.name) {
      return (await import('./relaunch.ts')).relaunch(runtime, context);
    }
    const { shell } = await import('./shell.ts');
    return shell(
      transport === undefined ? { address: connect } : { address: connect, transport },
      words,
      context.runtime,
    );
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

const benchGroup: CommandGroup = {
  name: 'bench',
  about: 'Measure: "ringkv bench --help" lists the suites',
  commands: async () => (await import('../../bench/command.ts')).benchCommands,
};

export const commands: readonly (Command | CommandGroup)[] = [serveCommand, shellCommand, doctorCommand, benchGroup];

function addressFlag(about: string): Flag<string> {
  return flag('address', about, parseSocketAddress, DEFAULT_ADDRESS);
}

/** An address other processes can reach, in its usual form. */
function parseSocketAddress(text: string): string {
  const address = parseAddress(text);
  if (address.kind === 'memory') throw new Error('expected tcp://host:port or unix:/path; memory: is for one process');
  return formatAddress(address);
}
