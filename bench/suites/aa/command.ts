/** The command `bench aa`: its flags and their defaults. The suite is loaded when it is called. */
import { MAX_FRAME_OPERATIONS } from '../../../core/protocol.ts';
import { defineCommand } from '../../../runtime/command/cli.ts';
import { TRANSPORT_NAMES } from '../../../runtime/command/commands.ts';
import { choice, flag, integer, optionalFlag, positiveNumber } from '../../../runtime/command/flags.ts';
import { RUNTIME_NAMES } from '../../../runtime/runtime.ts';
import {
  clientTransportFlag,
  generatorFlag,
  interruptible,
  jsonFlag,
  KEYS_MAX,
  pinFlag,
  seedFlag,
} from '../../flags.ts';

export const aaCommand = defineCommand({
  name: 'aa',
  about: 'Does the benchmark tell a difference from noise: a cell against itself, and against itself made slower',
  flags: {
    runtime: optionalFlag('name', 'Serve on node, bun or deno', choice(RUNTIME_NAMES), 'bun if it is here'),
    transport: optionalFlag('name', 'Serve by this transport', choice(TRANSPORT_NAMES), "the runtime's own"),
    planted: flag('percent', 'Let the slowed server use so much more CPU time', positiveNumber, '20'),
    repeat: flag('number', 'Decide so many times, each by rounds of its own', integer(1, 1000), '1'),
    rounds: flag('number', 'Decide by so many rounds', integer(1, 1000), '11'),
    slices: flag('number', 'Measure each side so many times in a round', integer(1, 1000), '20'),
    seconds: flag('number', 'Measure for so long each time', positiveNumber, '0.04'),
    batch: flag('number', 'Send so many operations per frame', integer(1, MAX_FRAME_OPERATIONS), '128'),
    connections: flag('number', 'Open so many connections', integer(1, 10_000), '16'),
    keys: flag('number', 'Store so many keys first', integer(1, KEYS_MAX), '20000'),
    seed: seedFlag,
    generator: generatorFlag,
    clientTransport: clientTransportFlag,
    pin: pinFlag,
    json: jsonFlag,
  },
  examples: ['aa', 'aa --repeat 10', 'aa --runtime node --transport uring --planted 10 --rounds 15'],
  run({ json, ...flags }, _words, context) {
    return interruptible(context, async (signal) => {
      const { aa } = await import('./aa.ts');
      return aa({ flags, json, context, signal });
    });
  },
});
