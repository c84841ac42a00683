/** The page: one HTML file with its style, its script and its data in it. Words and tables stand there without the script. */
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { packageFolder } from '../../runtime/package.ts';
import type { Report } from '../results/report.ts';
import { answer } from './answer.ts';
import type { ReportFile } from './files.ts';
import { embeddedJson, Html, html } from './html.ts';
import type { Chart, HeatMap, Section, Table, TableCell } from './model.ts';

import { sectionOf } from './sections.ts';

/** Where `scripts/build-page.mjs` puts the script and the style. */
const BUILT = join(packageFolder, 'dist/bench/report/browser');

export interface Page {
  readonly html: string;
  readonly sections: readonly Section[];
}

/** The page of these files, which are of different suites, in the order of its sections. */
export function pageOf(files: readonly ReportFile[], others: readonly ReportFile[] = []): Page {
  const sections = files.map(({ report }) => sectionOf(report));
  return { html: documentOf(files, others, sections).text, sections };
}

function documentOf(files: readonly ReportFile[], others: readonly ReportFile[], sections: readonly Section[]): Html {
  const style = readFileSync(join(BUILT, 'page.css'), 'utf8');
  const script = readFileSync(join(BUILT, 'page.js'), 'utf8').replaceAll('</script', '<\\/script');
  const charts = sections.flatMap((section) => section.charts);
  return html`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; script-src 'sha256-${createHash('sha256').update(script).digest('base64')}'; style-src 'unsafe-inline'; img-src data:">
<title>ringkv bench</title>
<style>${new Html(style)}</style>
</head>
<body>
<header>
<div class="bar"><p class="brand">ringkv bench</p><button id="theme" type="button" hidden>Light or dark</button></div>
<h1>Which backend, which runtime, which batch</h1>
${machineLine(files)}
${answerOf(files)}
<nav aria-label="Sections"><ul>${sections.map(({ id, title }) => html`<li><a href="#${id}">${title}</a></li>`)}<li><a href="#files">Where it comes from</a></li></ul></nav>
</header>
<main>
${sections.map(sectionHtml)}
${filesHtml(files, others)}
</main>
${patterns}
<script type="application/json" id="charts">${embeddedJson(charts.map(({ table: _, ...chart }) => chart))}</script>
<script>${new Html(script)}</script>
</body>
</html>
`;
}

function machineLine(files: readonly ReportFile[]): Html {
  const machines = new Map<string, Report['versions']>();
  for (const { report } of files) {
    const machine = machineText(report.machine);
    machines.set(machine, { ...machines.get(machine), ...report.versions });
  }
  return html`${[...machines].map(([machine, versions]) => html`<p class="machine">${[machine, ...programsOf(versions)].join(' · ')}</p>`)}`;
}

function machineText({ cpu, cpus, memoryBytes, platform, kernel }: Report['machine']): string {
  return [`${cpus} × ${cpu}`, `${Math.round(memoryBytes / 2 ** 30)} GiB`, `${platform} ${kernel}`].join(' · ');
}

function programsOf(versions: Report['versions']): readonly string[] {
  return ['node', 'bun', 'deno'].flatMap((name) => (versions[name] === undefined ? [] : `${name} ${versions[name]}`));
}

function answerOf(files: readonly ReportFile[]): Html {
  const groups = answer(files.map(({ report }) => report));
  return html`<div class="answer">${groups.map(
    ({ question, sentences }) =>
      html`<section><h2>${question}</h2>${sentences.map((sentence) => html`<p>${sentence}</p>`)}</section>`,
  )}</div>`;
}

// Sections

function sectionHtml({ id, title, about, charts, notes, skipped, table }: Section): Html {
  const list = (items: readonly string[]): Html =>
    html`<ul class="notes">${items.map((item) => html`<li>${item}</li>`)}</ul>`;
  return html`<section id="${id}" class="suite">
<h2>${title}</h2>
<p class="about">${about}</p>
${charts.map(chartHtml)}
${notes.length === 0 ? '' : list(notes)}
<details><summary>All figures of all cells</summary>${tableHtml(table)}</details>
${skipped.length === 0 ? '' : html`<details><summary>Not measured, and why: ${skipped.length}</summary>${list(skipped)}</details>`}
</section>
`;
}

function chartHtml(chart: Chart): Html {
  return html`<figure class="chart" data-chart="${chart.id}" aria-labelledby="title-${chart.id}">
<figcaption><h3 id="title-${chart.id}">${chart.title}</h3><p>${chart.about}</p></figcaption>
${chart.kind === 'heat' && chart.views.length > 1 ? viewSwitch(chart) : ''}
<div class="canvas"></div>
<details><summary>As a table</summary>${tableHtml(chart.table)}</details>
</figure>
`;
}

function viewSwitch({ id, views }: HeatMap): Html {
  return html`<fieldset class="switch"><legend>Shown</legend>${views.map(
    ({ title }, at) =>
      html`<label><input type="radio" name="view-${id}" value="${at}"${at === 0 ? new Html(' checked') : ''}><span>${title}</span></label>`,
  )}</fieldset>`;
}

function tableHtml({ columns, rows }: Table): Html {
  return html`<div class="scroll" tabindex="0" role="region" aria-label="Table"><table><thead><tr>${columns.map(
    (column) => html`<th scope="col">${column}</th>`,
  )}</tr></thead><tbody>${rows.map((row) => html`<tr>${row.map(cellHtml)}</tr>`)}</tbody></table></div>`;
}

function cellHtml(cell: TableCell, at: number): Html {
  if (typeof cell === 'string') return at === 0 ? html`<th scope="row">${cell}</th>` : html`<td>${cell}</td>`;
  const range = cell.range === undefined ? '' : html`<small>${cell.range}</small>`;
  return html`<td data-value="${cell.value}">${cell.text}${range}</td>`;
}

// Where it comes from

function filesHtml(files: readonly ReportFile[], others: readonly ReportFile[]): Html {
  return html`<section id="files" class="suite">
<h2>Where it comes from</h2>
<p class="about">Every figure above is in these files, with each round as it was measured. The seed decides the operations and the order of the cells.</p>
${files.map((file) => fileHtml(file))}
${
  others.length === 0
    ? ''
    : html`<p>Of these suites a later file was given, so they are not shown:</p><ul class="notes">${others.map(
        ({ path, report }) => html`<li>${path}: ${report.suite}, ${report.startedAt}</li>`,
      )}</ul>`
}
</section>
`;
}

function fileHtml({ path, report }: ReportFile): Html {
  const { suite, startedAt, ringkv, git, machine, versions, flags, skipped } = report;
  const revision = git === null ? 'unknown' : `${git.revision}${git.modified ? ', with changes' : ''}`;
  const facts: readonly (readonly [string, string])[] = [
    ['file', path],
    ['begun', startedAt],
    ['ringkv', ringkv],
    ['git revision', revision],
    ['processor', `${machine.cpus} × ${machine.cpu}`],
    ['governor', machine.governor ?? 'the kernel does not say'],
    ['memory', `${(machine.memoryBytes / 2 ** 30).toFixed(1)} GiB`],
    ['system', `${machine.platform}, kernel ${machine.kernel}`],
    [
      'versions',
      Object.entries(versions)
        .map(([name, version]) => `${name} ${version}`)
        .join(', '),
    ],
    [
      'flags',
      Object.entries(flags)
        .map(([name, value]) => `${name}=${flagText(value)}`)
        .join(' '),
    ],
  ];
  return html`<details class="file"><summary>${suite}<time>${startedAt.slice(0, 16).replace('T', ' ')} UTC</time></summary>
<dl>${facts.map(([name, value]) => html`<dt>${name}</dt><dd>${value}</dd>`)}</dl>
${
  skipped.length === 0
    ? ''
    : html`<p>Not measured:</p><ul class="notes">${skipped.map(({ label, reason }) => html`<li>${label}: ${reason}</li>`)}</ul>`
}</details>`;
}

function flagText(value: unknown): string {
  return Array.isArray(value) ? value.map(flagText).join(',') : String(value);
}

/** The patterns of bars with several parts; the first part has none. Ink on top of the part's colour. */
const patterns = new Html(`<svg width="0" height="0" aria-hidden="true" class="patterns"><defs>
<pattern id="pattern-0" width="8" height="8" patternUnits="userSpaceOnUse"></pattern>
<pattern id="pattern-1" width="6" height="6" patternUnits="userSpaceOnUse" patternTransform="rotate(45)"><path d="M0 0V6" /></pattern>
<pattern id="pattern-2" width="6" height="6" patternUnits="userSpaceOnUse"><circle cx="3" cy="3" r="1" /></pattern>
<pattern id="pattern-3" width="6" height="6" patternUnits="userSpaceOnUse" patternTransform="rotate(-45)"><path d="M0 0V6" /></pattern>
<pattern id="pattern-4" width="7" height="7" patternUnits="userSpaceOnUse"><path d="M0 3H7M3 0V7" /></pattern>
<pattern id="pattern-5" width="5" height="5" patternUnits="userSpaceOnUse"><path d="M0 2H5" /></pattern>
<pattern id="pattern-6" width="10" height="10" patternUnits="userSpaceOnUse"><path d="M5 0V10" /></pattern>
<pattern id="pattern-7" width="9" height="9" patternUnits="userSpaceOnUse"><circle cx="4" cy="4" r="1.8" /></pattern>
</defs></svg>`);
