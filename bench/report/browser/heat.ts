/** Draws a heat map: one figure of a table at a time, shaded by how far it is from the best of its column. */
import * as Plot from '@observablehq/plot';
import type { HeatCell, HeatMap } from '../model.ts';
import { panelElement } from './panel.ts';
import { textWidth } from './text.ts';

const ROW_PX = 30;
const TOP_PX = 44;

export function drawHeat(chart: HeatMap, widthPx: number, view: number): HTMLElement[] {
  const { cells, title } = chart.views[view]!;
  const marginLeft = 12 + Math.max(...chart.rows.map(textWidth));
  const width = Math.min(widthPx, marginLeft + chart.columns.length * 150);
  const figure = Plot.plot({
    width,
    height: TOP_PX + chart.rows.length * ROW_PX + 4,
    marginTop: TOP_PX,
    marginLeft,
    marginRight: 2,
    marginBottom: 4,
    className: 'plot',
    ariaLabel: `${chart.title}: ${title}`,
    x: { type: 'band', domain: [...chart.columns], label: null, axis: null, padding: 0.03 },
    y: { type: 'band', domain: [...chart.rows], label: null, axis: null, padding: 0.06 },
    color: { type: 'identity' },
    marks: [
      Plot.axisX({
        anchor: 'top',
        tickSize: 0,
        fontSize: 11.5,
        label: chart.columnTitle,
        labelAnchor: 'center',
        labelArrow: 'none',
        labelOffset: 40,
      }),
      Plot.axisY({ tickSize: 0, fontSize: 11.5, fontWeight: 600 }),
      Plot.cell(cells, { x: 'column', y: 'row', fill: shadeOf, rx: 3 }),
      Plot.text(cells, {
        x: 'column',
        y: 'row',
        text: 'text',
        fontSize: 12,
        fontVariant: 'tabular-nums',
        fill: 'var(--ink)',
        ariaLabel: ({ detail }: HeatCell) => detail.replaceAll('\n', ', '),
      }),
      Plot.tip(cells, Plot.pointer({ x: 'column', y: 'row', title: 'detail', maxRadius: 80 })),
    ],
  });
  return [panelElement('', figure)];
}

function shadeOf({ shade }: HeatCell): string {
  return `color-mix(in oklab, var(--heat-far) ${Math.round(shade * 100)}%, var(--heat-near))`;
}
