/** The clock and the alarms that clients get: standards that every runtime and browser has. */
import type { Timers } from '../core/client/settings.ts';

export const timers: Timers = {
  now: () => performance.now(),
  start(delayMs, callback) {
    const timer = setTimeout(callback, delayMs);
    return () => clearTimeout(timer);
  },
};
