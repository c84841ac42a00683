/** Draws horizontal bars; parts that add up stand one behind the other, each with a pattern of its own. */
import * as Plot from '@observablehq/plot';
import { formatTick } from '../format.ts';
import type { Bar, BarChart, BarPanel } from '../model.ts';
import { ticksOf } from './axes.ts';
import { partColor, partPattern } from './looks.ts';
import { panelElement, panelWidth } from './panel.ts';
import { textWidth } from './text.ts';

const ROW_PX = 24;
const BOTTOM_PX = 40;

interface Piece {
  readonly label: string;
  readonly from: number;
  readonly to: number;
  readonly part: number;
  readonly detail: string;
}

export function drawBars(chart: BarChart, widthPx: number): HTMLElement[] {
  const bars = chart.panels.flatMap((panel) => panel.bars);
  const marginLeft = 12 + Math.max(...bars.map(({ label }) => textWidth(label)));
  const marginRight = 12 + Math.max(...bars.map(({ text }) => textWidth(text)));
  const { width } = panelWidth(widthPx, Math.min(2, chart.panels.length), marginLeft + marginRight);
  return chart.panels.map((panel) => drawPanel(chart, panel, { width, marginLeft, marginRight }));
}

function drawPanel(
  chart: BarChart,
  { title, bars }: BarPanel,
  { width, marginLeft, marginRight }: { width: number; marginLeft: number; marginRight: number },
): HTMLElement {
  const domain = [0, Math.max(...bars.map(endOf)) || 1] as const;
  const ticks = ticksOf(chart.x, domain, { lengthPx: width - marginLeft - marginRight, apartPx: () => 44 });
  const pieces = bars.flatMap(({ label, values, detail }) => {
    let from = 0;
    return values.map((value, part): Piece => {
      const piece = { label, from, to: from + value, part, detail };
      from += value;
      return piece;
    });
  });
  const figure = Plot.plot({
    width,
    height: bars.length * ROW_PX + BOTTOM_PX + 6,
    marginTop: 6,
    marginBottom: BOTTOM_PX,
    marginLeft,
    marginRight,
    className: 'plot',
    ariaLabel: title === '' ? chart.title : `${chart.title}: ${title}`,
    x: { type: 'linear', domain: [...domain], label: null, axis: null },
    y: { type: 'band', domain: bars.map(({ label }) => label), label: null, axis: null, padding: 0.28 },
    color: { type: 'identity' },
    marks: [
      Plot.gridX(
        ticks.map(({ value }) => value),
        { stroke: 'var(--grid)', strokeOpacity: 1 },
      ),
      Plot.axisX(
        ticks.map(({ value }) => value),
        {
          text: (value: number) => formatTick(value, chart.x.unit),
          tickSize: 0,
          fontSize: 11,
          label: chart.x.title,
          labelAnchor: 'center',
          labelArrow: 'none',
          labelOffset: 36,
        },
      ),
      Plot.axisY({ tickSize: 0, fontSize: 11.5 }),
      Plot.barX(pieces, {
        x1: 'from',
        x2: 'to',
        y: 'label',
        fill: ({ part }: Piece) => partColor(part),
        ariaLabel: ({ detail }: Piece) => detail.replaceAll('\n', ', '),
      }),
      ...(chart.parts.length > 1
        ? [
            Plot.barX(pieces, {
              x1: 'from',
              x2: 'to',
              y: 'label',
              fill: ({ part }: Piece) => partPattern(part),
            }),
          ]
        : []),
      Plot.text(bars, {
        x: endOf,
        y: 'label',
        text: 'text',
        textAnchor: 'start',
        dx: 6,
        fontSize: 11.5,
        fontVariant: 'tabular-nums',
      }),
      Plot.tip(
        bars.map((bar) => ({ ...bar, end: endOf(bar) / 2 })),
        Plot.pointerY({ x: 'end', y: 'label', title: 'detail' }),
      ),
    ],
  });
  return panelElement(title, figure);
}

function endOf({ values }: Bar): number {
  return values.reduce((sum, value) => sum + value, 0);
}
