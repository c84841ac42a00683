/** Loaded before a server: what it reads from open files never comes, which it prints the first time. */
import fs from 'node:fs';
import process from 'node:process';

// Otherwise there would be nothing to wait for.
setInterval(() => {}, 1000);

let isTold = false;
fs.read = () => {
  if (!isTold) process.stdout.write('reading\n');
  isTold = true;
};
