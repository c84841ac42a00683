/** The flags of `serve` that say what requests may hold and connections may cost. */
import { PROTOCOL_LIMITS } from '../../core/engine/engine.ts';
import { MAX_REPLY_BYTES } from '../../core/protocol.ts';
import { DEFAULT_CONNECTION_LIMITS } from '../../core/server/limits.ts';
import type { ServerLimits } from '../shard.ts';
import { duration, type FlagValues, flag, formatDuration, formatSize, integer, size } from './flags.ts';

const defaults: ServerLimits = { ...PROTOCOL_LIMITS, ...DEFAULT_CONNECTION_LIMITS };

/** Longest time that can be set. Unit: milliseconds. */
const TIME_MS_MAX = 24 * 3_600_000;

/** Most bytes of any limit. */
const BYTES_MAX = 4 * 1024 ** 3;

const upTo = (name: 'keyBytesMax' | 'depthMax' | 'operationsMax' | 'scanCountMax') =>
  [integer(1, PROTOCOL_LIMITS[name]), String(defaults[name])] as const;
const bytes = (name: 'partialBytesMax' | 'outputBytesMax' | 'outputSoftBytes' | 'authBytesMax') =>
  [size(1024, BYTES_MAX), formatSize(defaults[name])] as const;
const time = (name: 'outputMs' | 'frameMs' | 'authMs') =>
  [duration(1, TIME_MS_MAX), formatDuration(defaults[name])] as const;

export const limitFlags = {
  maxConnections: flag(
    'count',
    'Refuse connections to a shard when it has so many',
    integer(1, 1_000_000),
    String(defaults.connectionsMax),
  ),
  maxKey: flag('bytes', 'Refuse keys that are longer', ...upTo('keyBytesMax')),
  maxValue: flag('size', 'Refuse values that are longer', size(1, MAX_REPLY_BYTES), formatSize(defaults.valueBytesMax)),
  maxDepth: flag('count', 'Refuse values that nest deeper', ...upTo('depthMax')),
  maxOperations: flag('count', 'Refuse requests with more operations', ...upTo('operationsMax')),
  maxScan: flag('count', 'Look at no more keys in one SCAN', ...upTo('scanCountMax')),
  maxPartial: flag(
    'size',
    'Keep no more of requests that are not complete, of all connections',
    ...bytes('partialBytesMax'),
  ),
  maxOutput: flag('size', 'Cut a client that leaves more replies unread', ...bytes('outputBytesMax')),
  softOutput: flag(
    'size',
    'Cut a client that leaves more unread for the time of --output-timeout',
    ...bytes('outputSoftBytes'),
  ),
  outputTimeout: flag('time', 'How long that may be', ...time('outputMs')),
  idleTimeout: flag(
    'time',
    'Close a connection on which nothing comes for so long; 0: never',
    duration(0, TIME_MS_MAX),
    formatDuration(defaults.idleMs),
  ),
  frameTimeout: flag('time', 'Close a connection whose request takes longer to come', ...time('frameMs')),
  authTimeout: flag('time', 'Close a connection that takes longer to bring its token', ...time('authMs')),
  authBytes: flag('size', 'Close a connection that sends more before its token', ...bytes('authBytesMax')),
};

export function limitsOf(values: FlagValues<typeof limitFlags>): ServerLimits {
  return {
    connectionsMax: values.maxConnections,
    keyBytesMax: values.maxKey,
    valueBytesMax: values.maxValue,
    depthMax: values.maxDepth,
    operationsMax: values.maxOperations,
    scanCountMax: values.maxScan,
    partialBytesMax: values.maxPartial,
    outputBytesMax: values.maxOutput,
    outputSoftBytes: values.softOutput,
    outputMs: values.outputTimeout,
    idleMs: values.idleTimeout,
    frameMs: values.frameTimeout,
    authMs: values.authTimeout,
    authBytesMax: values.authBytes,
  };
}
