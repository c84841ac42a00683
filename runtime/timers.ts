/** The clock and the alarms that clients get: standards that every runtime and browser has. */
import { ALARM_DELAY_MAX_MS, type Timers } from '../core/client/settings.ts';

export const timers: Timers = {
  now: () => performance.now(),
  start(delayMs, callback) {
    // A longer one would be taken as 1 ms.
    const timer = delayMs > ALARM_DELAY_MAX_MS ? undefined : setTimeout(callback, delayMs);
    return () => clearTimeout(timer);
  },
};
