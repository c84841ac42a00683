/** Tells which transports can run under this runtime: a line of JSON, null or the reason why not by the transport's name. */
import process from 'node:process';
import { createTransport } from '../../dist/transports/transports.js';

const reasons = process.argv.slice(2).map((name) => {
  const availability = createTransport(name).availability();
  return [name, availability.available ? null : availability.reason];
});
process.stdout.write(`${JSON.stringify(Object.fromEntries(reasons))}\n`);
