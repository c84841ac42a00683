// How large a page of "ringkv bench report" is, and how long a browser takes until all its charts are drawn, in Debian's
// chromium: node scripts/measure-page.mjs report.html [folder for screenshots]
import { mkdirSync, statSync } from 'node:fs';
import { resolve } from 'node:path';
import process from 'node:process';
import { pathToFileURL } from 'node:url';
import { chromium } from 'playwright-core';

const CHROMIUM = '/usr/bin/chromium';
const RUNS = 5;

const [file, folder] = process.argv.slice(2);
if (file === undefined) {
  process.stderr.write('usage: node scripts/measure-page.mjs report.html [folder for screenshots]\n');
  process.exit(2);
}
const browser = await chromium.launch({
  executablePath: CHROMIUM,
  args: ['--headless', '--no-sandbox', '--disable-gpu'],
});
const url = pathToFileURL(resolve(file)).href;

const millis = [];
for (let run = 0; run < RUNS; run++) {
  const page = await browser.newPage({ viewport: { width: 1280, height: 900 } });
  await page.goto(url);
  millis.push(Number(await page.evaluate('document.documentElement.dataset.drawnMillis')));
  await page.close();
}
process.stdout.write(
  `${file}: ${(statSync(file).size / 1e6).toFixed(2)} MB; drawn after ${millis.join(', ')} ms, from the start of loading\n`,
);

if (folder !== undefined) {
  mkdirSync(folder, { recursive: true });
  for (const width of [1280, 400]) {
    for (const colorScheme of ['light', 'dark']) {
      const page = await browser.newPage({ viewport: { width, height: 900 }, colorScheme });
      await page.goto(url);
      await page.screenshot({ path: `${folder}/${width}-${colorScheme}.png`, fullPage: true });
      await page.close();
    }
  }
}
await browser.close();
