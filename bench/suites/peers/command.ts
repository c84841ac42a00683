/** The command `bench peers`: its flags and their defaults. The suite is loaded when it is called. */
import { MAX_FRAME_OPERATIONS } from '../../../core/protocol.ts';
import { defineCommand } from '../../../runtime/command/cli.ts';
import { TRANSPORT_NAMES } from '../../../runtime/command/commands.ts';
import { choice, flag, integer, listOf } from '../../../runtime/command/flags.ts';
import {
  clientTransportFlag,
  fittingKeys,
  generatorFlag,
  generatorsFlag,
  interruptible,
  jsonFlag,
  keysFlag,
  pinFlag,
  quickFlag,
  roundsFlag,
  runtimesFlag,
  sayWhatIsCut,
  secondsFlag,
  seedFlag,
  valueSizeFlag,
  withDefaults,
} from '../../flags.ts';
import { PEER_NAMES } from './peer-names.ts';

/** What `peers` does when nothing else is said, and what of it `--quick` cuts. */
const PEERS_DEFAULTS = { keys: 1_000_000, rounds: 3, seconds: 3 };
const PEERS_QUICK = { keys: 100_000, rounds: 1, seconds: 0.5 };

export const peersCommand = defineCommand({
  name: 'peers',
  about: 'Against Redis, Valkey and memcached: the same operations from the same load generator',
  flags: {
    peers: flag('names', 'Compare with these stores', listOf(choice(PEER_NAMES)), PEER_NAMES.join(',')),
    runtimes: runtimesFlag,
    transports: flag('names', 'Measure these transports', listOf(choice(TRANSPORT_NAMES)), 'node,bun,deno,uring'),
    batches: flag(
      'numbers',
      'Send so many operations at once: in a frame, or in a pipeline of the other stores',
      listOf(integer(1, MAX_FRAME_OPERATIONS)),
      '1,16,128',
    ),
    connections: flag('number', 'Open so many connections', integer(1, 10_000), '50'),
    depth: flag('number', 'Keep so many frames or pipelines in flight on each connection', integer(1, 1024), '1'),
    keys: keysFlag(PEERS_DEFAULTS, PEERS_QUICK),
    valueSize: valueSizeFlag,
    rounds: roundsFlag(PEERS_DEFAULTS, PEERS_QUICK),
    seconds: secondsFlag(PEERS_DEFAULTS, PEERS_QUICK),
    seed: seedFlag,
    generator: generatorFlag,
    clientTransport: clientTransportFlag,
    generators: generatorsFlag,
    pin: pinFlag,
    json: jsonFlag,
    quick: quickFlag,
  },
  examples: [
    'peers --quick',
    'peers --runtimes bun --transports bun,uring --json peers.json',
    'peers --peers redis --batches 1,10,100 --value-size 1k',
    'peers --pin --rounds 5 --seconds 10',
  ],
  run({ quick, json, ...given }, _words, context) {
    const chosen = withDefaults(given, quick ? PEERS_QUICK : PEERS_DEFAULTS);
    const flags = { ...chosen, keys: given.keys ?? fittingKeys(chosen) };
    if (quick) sayWhatIsCut(flags, PEERS_DEFAULTS);
    return interruptible(context, async (signal) => {
      const { peers } = await import('./peers.ts');
      return peers({ flags, json, context, signal });
    });
  },
});
