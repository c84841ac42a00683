/** Certificates and keys as files: what is told of them before anybody connects. */
import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { loadTls, whyNotNow } from '../../runtime/tls.ts';
import { hasOpenssl, serverCertificate, whyNoOpenssl } from '../support/certificates.ts';

const DAY_MS = 24 * 3600 * 1000;

const files = hasOpenssl ? serverCertificate() : { cert: '', key: '' };

test.skipIf(!hasOpenssl)(`a certificate whose time is over, or has not come${whyNoOpenssl}`, () => {
  const { cert, key } = files;
  expect(loadTls({ tlsCert: cert, tlsKey: key })?.cert).toBe(readFileSync(cert, 'utf8'));
  const pem = readFileSync(cert, 'utf8');
  const now = Date.now();
  expect(whyNotNow(pem, now)).toBeUndefined();
  expect(whyNotNow(pem, now + DAY_MS)).toBeUndefined();
  expect(whyNotNow(pem, now + 3 * DAY_MS)).toMatch(/^expired at .* GMT$/);
  expect(whyNotNow(pem, now - DAY_MS)).toMatch(/^is not valid before .* GMT$/);
});
