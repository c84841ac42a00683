/** The command `bench connections`: its flags and their defaults. The suite is loaded when it is called. */
import { defineCommand } from '../../../runtime/command/cli.ts';
import { flag, integer, optionalFlag, positiveNumber } from '../../../runtime/command/flags.ts';
import {
  generatorFlag,
  interruptible,
  jsonFlag,
  otherwise,
  quickFlag,
  runtimesFlag,
  sayWhatIsCut,
  seedFlag,
  timedClientTransportFlag,
  transportsFlag,
  withDefaults,
} from '../../flags.ts';

/** What `connections` does when nothing else is said, and what of it `--quick` cuts. */
const CONNECTIONS_DEFAULTS = { idle: 1000, idleSeconds: 5, connections: 10_000, seconds: 10 };
const CONNECTIONS_QUICK = { idle: 200, idleSeconds: 1, connections: 1000, seconds: 1.5 };

/** Linux has some 28,000 ports for connections from one address to one server; others may be in use. */
const CONNECTIONS_MAX = 25_000;

export const connectionsCommand = defineCommand({
  name: 'connections',
  about: 'Many connections: what they cost while idle, and how late the last is served',
  flags: {
    runtimes: runtimesFlag,
    transports: transportsFlag,
    idle: optionalFlag(
      'number',
      'Hold so many connections that send nothing',
      integer(1, CONNECTIONS_MAX),
      otherwise(CONNECTIONS_DEFAULTS, CONNECTIONS_QUICK, 'idle'),
    ),
    idleSeconds: optionalFlag(
      'number',
      'Measure the idle server for so long',
      positiveNumber,
      otherwise(CONNECTIONS_DEFAULTS, CONNECTIONS_QUICK, 'idleSeconds'),
    ),
    connections: optionalFlag(
      'number',
      'Then send one operation per second on each of so many',
      integer(1, CONNECTIONS_MAX),
      otherwise(CONNECTIONS_DEFAULTS, CONNECTIONS_QUICK, 'connections'),
    ),
    seconds: optionalFlag(
      'number',
      'Measure that for so long',
      positiveNumber,
      otherwise(CONNECTIONS_DEFAULTS, CONNECTIONS_QUICK, 'seconds'),
    ),
    rounds: flag('number', 'Measure every cell so many times', integer(1, 1000), '1'),
    seed: seedFlag,
    generator: generatorFlag,
    clientTransport: timedClientTransportFlag,
    json: jsonFlag,
    quick: quickFlag,
  },
  examples: ['connections', 'connections --quick', 'connections --runtimes bun --connections 20000'],
  run({ quick, json, ...given }, _words, context) {
    const flags = withDefaults(given, quick ? CONNECTIONS_QUICK : CONNECTIONS_DEFAULTS);
    if (quick) sayWhatIsCut(flags, CONNECTIONS_DEFAULTS);
    return interruptible(context, async (signal) => {
      const { connections } = await import('./connections.ts');
      return connections({ flags, json, context, signal });
    });
  },
});
