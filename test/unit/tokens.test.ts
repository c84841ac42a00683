/** Tokens: what may stand in their file, and that what is told of a wrong one never repeats it. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { Access } from '../../core/engine/engine.ts';
import { createGuard, firstToken, loadTokens, parseTokens } from '../../runtime/tokens.ts';
import { ascii } from '../support/bytes.ts';

const FULL = '0123456789abcdef';
const OTHER = 'fedcba9876543210fedcba9876543210';
const READER = 'may-read-0123456789';

const folder = mkdtempSync(join(tmpdir(), 'ringkv-tokens-'));
afterAll(() => rmSync(folder, { recursive: true }));

describe('a token file', () => {
  test('has tokens of full and of reading access, comments and empty lines', () => {
    const text = `# rotated on Monday\n${FULL}\r\n\n  ${OTHER}  \n read-only   ${READER}\n#read-only ${FULL}x\n`;
    const guard = createGuard(parseTokens(text, 'tokens'));
    const access = [FULL, OTHER, READER, `${FULL}x`, '', 'read-only'].map((token) => guard.admit(ascii(token))?.access);
    expect(access).toEqual([Access.FULL, Access.FULL, Access.READ, undefined, undefined, undefined]);
  });

  test.each([
    ['', /^tokens holds no token$/],
    ['# nothing\n\n', /^tokens holds no token$/],
    [`${FULL}\nshort-secret`, /^tokens, line 2: a token has 16 to 512 characters, this one 12; /],
    ['x'.repeat(513), /^tokens, line 1: a token has 16 to 512 characters, this one 513; /],
    [`secret-of-mine ${FULL}`, /^tokens, line 1: expected TOKEN or read-only TOKEN, in one line each$/],
    [`read-only ${FULL} ${OTHER}`, /^tokens, line 1: expected TOKEN or read-only TOKEN, in one line each$/],
    ['read-only', /^tokens, line 1: a token has 16/],
    [`read-only ${FULL}\n${OTHER}\n${FULL}`, /^tokens, line 3: the same token has another right before; /],
    [`${FULL}\nread-only ${FULL}`, /^tokens, line 2: the same token has another right before; /],
  ])('is refused by line, and without what stands there: %j', (text, message) => {
    const parse = (): unknown => parseTokens(text, 'tokens');
    expect(parse).toThrow(message);
    for (const secret of ['secret', FULL, OTHER]) expect(parse).not.toThrow(new RegExp(secret));
  });

  test('and what was given count together; without either nobody is asked', () => {
    const tokenFile = join(folder, 'tokens');
    writeFileSync(tokenFile, `# first\n\nread-only ${READER}\n${OTHER}\n`);
    expect(loadTokens({})).toBeUndefined();
    expect(loadTokens({ tokenFile, tokens: FULL })?.length).toBe(3);
    expect(loadTokens({ tokenFile, tokens: OTHER })?.length).toBe(3);
    expect(() => loadTokens({ tokenFile, tokens: READER, tokensSource: 'RINGKV_TOKEN' })).toThrow(
      'RINGKV_TOKEN, line 1: the same token has another right before; it is to be read-only everywhere or nowhere',
    );
    expect(firstToken({ tokenFile, tokens: FULL })).toBe(READER);
    expect(firstToken({ tokens: `# one\r\n\r\n read-only ${READER} \r\n${FULL}` })).toBe(READER);
    expect(firstToken({})).toBeUndefined();
    const missing = join(folder, 'missing');
    expect(() => loadTokens({ tokenFile: missing })).toThrow(`can't read ${missing}: no such file`);
    expect(() => loadTokens({ tokenFile: folder })).toThrow(`can't read ${folder}: it is a directory`);
  });

  test.skipIf(process.getuid?.() === 0)('that the user may not read is told in words', () => {
    const tokenFile = join(folder, 'of-another');
    writeFileSync(tokenFile, FULL, { mode: 0 });
    expect(() => loadTokens({ tokenFile })).toThrow(`can't read ${tokenFile}: permission denied`);
  });

  test('that is empty is told with where it is from', () => {
    expect(() => loadTokens({ tokens: '', tokensSource: 'RINGKV_TOKEN' })).toThrow('RINGKV_TOKEN holds no token');
    expect(() => loadTokens({ tokens: '' })).toThrow('the given tokens holds no token');
  });
});

test('a grant is found again among other tokens, or not', () => {
  const grant = createGuard(parseTokens(FULL, 'tokens')).admit(ascii(FULL))!;
  expect(createGuard(parseTokens(`${OTHER}\nread-only ${FULL}`, 'tokens')).renew(grant)?.access).toBe(Access.READ);
  expect(createGuard(parseTokens(OTHER, 'tokens')).renew(grant)).toBeUndefined();
  expect(Buffer.from(grant.digest).includes(FULL)).toBe(false);
});
