/** Preloaded into a server: each sync of its log takes as long as on a slow disk. */
import fs from 'node:fs';
import { syncBuiltinESMExports } from 'node:module';

const SYNC_MS = 30;

const { fdatasync } = fs;
fs.fdatasync = (descriptor, done) => {
  setTimeout(() => fdatasync(descriptor, done), SYNC_MS);
};
syncBuiltinESMExports();
