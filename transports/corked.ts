/** What uWebSockets does on its own, in uWebSockets.js as in Bun. */
import { setImmediate } from 'node:timers';
import type { MessageConnection } from './messages.ts';

/**
 * Looks whether what was sent has left, once an event of the socket is over, because of two things that happen during one.
 * In `message` uWebSockets corks the socket: what is sent counts as buffered, leaves when the event is over, and no `drain`
 * tells of it. In `drain` it forgets to wait for the kernel after a long message that was taken in part, so nothing may be
 * sent there (https://github.com/oven-sh/bun/pull/38177).
 */
export function lookLater(connection: MessageConnection): void {
  if (connection.isAwaited) setImmediate(() => connection.look());
}
