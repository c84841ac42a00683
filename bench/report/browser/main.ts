/** The page's script: draws every chart from the data in the page, again when its width changes, and switches the theme. */
import type { BarChart, Chart } from '../model.ts';
import { drawBars } from './bars.ts';
import { drawHeat } from './heat.ts';
import { drawLines } from './lines.ts';
import { partColor, partPattern } from './looks.ts';

const charts = JSON.parse(document.getElementById('charts')!.textContent!) as readonly Chart[];
/** The view that a heat map shows, by the chart's id. */
const views = new Map<string, number>();

const drawings = charts.map((chart) => ({ chart, canvas: canvasOf(chart), widthPx: 0 }));
drawAll();
new ResizeObserver(drawAll).observe(document.body);
for (const { chart, canvas } of drawings) {
  for (const input of document.querySelectorAll<HTMLInputElement>(`input[name="view-${chart.id}"]`)) {
    input.addEventListener('change', () => {
      views.set(chart.id, Number(input.value));
      draw(chart, canvas, canvas.clientWidth);
    });
  }
}
// For whoever wants to know how long it took, such as scripts/measure-page.mjs.
document.documentElement.dataset.drawnMillis = String(Math.round(performance.now()));
switchTheme();

function canvasOf({ id }: Chart): HTMLElement {
  return document.querySelector<HTMLElement>(`[data-chart="${CSS.escape(id)}"] .canvas`)!;
}

/** Draws what has another width than before. All are looked at first: looking again after each would lay out the page again. */
function drawAll(): void {
  const widthsPx = drawings.map(({ canvas }) => canvas.clientWidth);
  for (const [at, drawing] of drawings.entries()) {
    const widthPx = widthsPx[at]!;
    // Without a width it is not shown, as in a tab that is being closed.
    if (widthPx === 0 || widthPx === drawing.widthPx) continue;
    drawing.widthPx = widthPx;
    draw(drawing.chart, drawing.canvas, widthPx);
  }
}

function draw(chart: Chart, canvas: HTMLElement, widthPx: number): void {
  const legend = chart.kind === 'bars' && chart.parts.length > 1 ? [legendOf(chart)] : [];
  const drawn =
    chart.kind === 'lines'
      ? drawLines(chart, widthPx)
      : chart.kind === 'heat'
        ? drawHeat(chart, widthPx, views.get(chart.id) ?? 0)
        : drawBars(chart, widthPx);
  canvas.replaceChildren(...legend, ...drawn);
  canvas.dataset.drawn = String(drawn.length);
}

function legendOf({ parts }: BarChart): HTMLElement {
  const list = document.createElement('ul');
  list.className = 'legend';
  for (const [at, name] of parts.entries()) {
    const item = document.createElement('li');
    item.innerHTML = `<svg width="16" height="12" aria-hidden="true"><rect width="16" height="12"/><rect width="16" height="12" fill="${partPattern(at)}"/></svg>`;
    item.querySelector('rect')!.style.fill = partColor(at);
    item.append(name);
    list.append(item);
  }
  return list;
}

/** Without a choice, the theme is the system's. */
function switchTheme(): void {
  const button = document.getElementById('theme')!;
  const dark = matchMedia('(prefers-color-scheme: dark)');
  const root = document.documentElement;
  button.hidden = false;
  button.addEventListener('click', () => {
    const now = root.dataset.theme ?? (dark.matches ? 'dark' : 'light');
    root.dataset.theme = now === 'dark' ? 'light' : 'dark';
  });
}
