/** The command `bench tcp`: its flags and their defaults. The suite is loaded when it is called. */
import { defineCommand } from '../../../runtime/command/cli.ts';
import {
  generatorFlag,
  interruptible,
  jsonFlag,
  operationsFlag,
  pinFlag,
  quickFlag,
  roundsFlag,
  runtimesFlag,
  sayWhatIsCut,
  secondsFlag,
  seedFlag,
  sizesFlag,
  timedClientTransportFlag,
  transportsFlag,
  valueSizeFlag,
  withDefaults,
} from '../../flags.ts';
import { STORE_SIZES } from '../../load/store-sizes.ts';

/** What `tcp` does when nothing else is said, and what of it `--quick` cuts. */
const TCP_DEFAULTS = { sizes: STORE_SIZES, rounds: 3, seconds: 0.6 };
const TCP_QUICK = { sizes: [0, 10_000], rounds: 1, seconds: 0.2 };

export const tcpCommand = defineCommand({
  name: 'tcp',
  about: 'One client, one operation after the other, through every transport in every runtime',
  flags: {
    runtimes: runtimesFlag,
    transports: transportsFlag,
    sizes: sizesFlag(TCP_DEFAULTS, TCP_QUICK),
    operations: operationsFlag,
    valueSize: valueSizeFlag,
    rounds: roundsFlag(TCP_DEFAULTS, TCP_QUICK),
    seconds: secondsFlag(TCP_DEFAULTS, TCP_QUICK),
    seed: seedFlag,
    generator: generatorFlag,
    clientTransport: timedClientTransportFlag,
    pin: pinFlag,
    json: jsonFlag,
    quick: quickFlag,
  },
  examples: [
    'tcp --quick',
    'tcp --transports uring,node --sizes 10k,1m --operations get,set',
    'tcp --generator node --client-transport uring',
    'tcp --json tcp.json',
  ],
  run({ quick, json, ...given }, _words, context) {
    const flags = withDefaults(given, quick ? TCP_QUICK : TCP_DEFAULTS);
    if (quick) sayWhatIsCut(flags, TCP_DEFAULTS);
    return interruptible(context, async (signal) => {
      const { tcp } = await import('./tcp.ts');
      return tcp({ flags, json, context, signal });
    });
  },
});
