/** Draws curves: a panel beside or below the other, each line with its name at its end. */
import * as Plot from '@observablehq/plot';
import { formatTick } from '../format.ts';
import type { LineChart, Panel, Point, Series } from '../model.ts';
import { domainOf, ticksOf } from './axes.ts';
import { appearanceOf, colorOf } from './looks.ts';
import { panelElement, panelWidth } from './panel.ts';
import { textWidth } from './text.ts';

const TOP_PX = 26;
const BOTTOM_PX = 40;
const LEFT_PX = 54;
const LABEL_GAP_PX = 18;
/** Between the names of two lines. */
const LABEL_APART_PX = 13;

export function drawLines(chart: LineChart, widthPx: number): HTMLElement[] {
  const points = chart.panels.flatMap(({ series }) => series.flatMap((one) => one.points));
  const yDomain = domainOf(
    chart.y,
    points.flatMap(({ y, range }) => [y, ...(range ?? [])]).filter((y) => chart.y.scale !== 'log' || y > 0),
  );
  const marginRight =
    LABEL_GAP_PX + Math.max(...chart.panels.flatMap((one) => one.series.map(({ name }) => textWidth(name))));
  const { width, height } = panelWidth(widthPx, chart.panels.length, LEFT_PX + marginRight);
  return chart.panels.map((panel) => drawPanel(chart, panel, { points, yDomain, width, height, marginRight }));
}

interface Frame {
  /** Of all panels, which share their axes. */
  readonly points: readonly Point[];
  readonly yDomain: readonly [number, number];
  readonly width: number;
  readonly height: number;
  /** For the names of the lines. */
  readonly marginRight: number;
}

function drawPanel(chart: LineChart, { title, series }: Panel, frame: Frame): HTMLElement {
  const { width, height, yDomain, marginRight } = frame;
  const box = { width, height, marginTop: TOP_PX, marginBottom: BOTTOM_PX, marginLeft: LEFT_PX, marginRight };
  const yTicks = ticksOf(chart.y, yDomain, { lengthPx: height - TOP_PX - BOTTOM_PX, apartPx: () => 24 });
  const x = xScale(chart, frame.points, width - LEFT_PX - marginRight);
  const drawable = series.map((one) => ({
    ...one,
    points: chart.y.scale === 'log' ? one.points.filter(({ y }) => y > 0) : one.points,
  }));
  const figure = Plot.plot({
    ...box,
    className: 'plot',
    ariaLabel: title === '' ? chart.title : `${chart.title}: ${title}`,
    x: { ...x.scale, label: null, axis: null },
    y: { type: chart.y.scale === 'log' ? 'log' : 'linear', domain: [...yDomain], label: null, axis: null },
    marks: [
      Plot.gridY(
        yTicks.map(({ value }) => value),
        { strokeOpacity: 1, stroke: 'var(--grid)' },
      ),
      Plot.axisY(
        yTicks.map(({ value }) => value),
        {
          text: (value: number) => formatTick(value, chart.y.unit),
          tickSize: 0,
          fontSize: 11,
          label: chart.y.title,
          labelAnchor: 'top',
          labelArrow: 'none',
          labelOffset: LEFT_PX,
        },
      ),
      Plot.axisX(x.ticks, {
        text: x.text,
        tickSize: 4,
        fontSize: 11,
        label: chart.x.title,
        labelAnchor: 'center',
        labelArrow: 'none',
        labelOffset: 36,
      }),
      Plot.ruleY([yDomain[0]], { stroke: 'var(--axis)' }),
      ...drawable.flatMap(lineMarks),
      ...nameMarks(drawable, { yDomain, log: chart.y.scale === 'log', height }),
      Plot.tip(
        drawable.flatMap(({ points }) => points),
        Plot.pointer({ x: 'x', y: 'y', title: 'detail', maxRadius: 60 }),
      ),
    ],
  });
  return panelElement(title, figure);
}

function xScale(chart: LineChart, points: readonly Point[], lengthPx: number) {
  const { x: axis } = chart;
  if (axis.scale === 'band') {
    const words = [...(axis.words ?? [])];
    const scale = { type: 'point' as const, domain: words, padding: 0.4 };
    return { scale, ticks: words, text: (word: string) => word };
  }
  const values = points.map(({ x }) => Number(x));
  const domain = xDomain(axis.scale, values);
  const measured = new Set(values).size <= 12 ? values : undefined;
  const ticks = ticksOf(axis, domain, {
    lengthPx,
    apartPx: (a, b) => (textWidth(a) + textWidth(b)) / 2 + 8,
    ...(measured && { measured }),
  });
  const scale = { type: axis.scale, domain: [...domain] };
  const texts = new Map(ticks.map(({ value, text }) => [value, text]));
  const text = (value: number): string => texts.get(value) ?? '';
  return { scale, ticks: ticks.map(({ value }) => value), text };
}

/** Close around what was measured: an axis of batch sizes has nothing to say of zero. */
function xDomain(scale: 'log' | 'linear', values: readonly number[]): readonly [number, number] {
  const min = Math.min(...values);
  const max = Math.max(...values);
  if (scale === 'log') return min === max ? [min / 2, max * 2] : [min / 1.08, max * 1.08];
  return [Math.min(0, min), max === min ? max + 1 : max * 1.02];
}

function lineMarks({ points, look }: Series): Plot.Markish[] {
  const color = colorOf(look);
  const { dashes, symbol } = appearanceOf(look);
  const ranged = points.filter(({ range }) => range !== undefined && range[0] < range[1]);
  const low = ({ range }: Point): number => range![0];
  const high = ({ range }: Point): number => range![1];
  return [
    ...(ranged.length > 1 ? [Plot.areaY(ranged, { x: 'x', y1: low, y2: high, fill: color, fillOpacity: 0.09 })] : []),
    Plot.ruleX(ranged, { x: 'x', y1: low, y2: high, stroke: color, strokeWidth: 1.5, strokeOpacity: 0.6 }),
    Plot.lineY(points, { x: 'x', y: 'y', stroke: color, strokeWidth: 1.8, strokeDasharray: dashes }),
    Plot.dot(points, {
      x: 'x',
      y: 'y',
      fill: color,
      stroke: 'var(--surface)',
      strokeWidth: 1,
      r: 4,
      symbol,
      ariaLabel: (point: Point) => point.detail.replaceAll('\n', ', '),
    }),
  ];
}

/** The name of each line beside its last point, moved as far as names must be apart. */
function nameMarks(
  series: readonly Series[],
  { yDomain, log, height }: { yDomain: readonly [number, number]; log: boolean; height: number },
): Plot.Markish[] {
  const scale = Plot.scale({
    y: { type: log ? 'log' : 'linear', domain: [...yDomain], range: [height - BOTTOM_PX, TOP_PX] },
  })!;
  const ends = series
    .flatMap((one) => {
      const last = one.points.at(-1);
      return last === undefined ? [] : [{ ...one, last, px: scale.apply(last.y) as number }];
    })
    .sort((a, b) => a.px - b.px);
  const places = apart(
    ends.map(({ px }) => px),
    { apartPx: LABEL_APART_PX, from: TOP_PX, to: height - BOTTOM_PX },
  );
  return ends.map(({ name, look, last }, at) =>
    Plot.text([name], {
      x: [last.x],
      y: [scale.invert!(places[at]!)],
      dx: 9,
      textAnchor: 'start',
      fill: colorOf(look),
      fontSize: 11.5,
      fontWeight: 600,
      text: [name],
    }),
  );
}

/** Moves places, which are in order, so that none is nearer to another than `apartPx`, within limits as far as they have room. */
export function apart(
  places: readonly number[],
  { apartPx, from, to }: { apartPx: number; from: number; to: number },
): readonly number[] {
  const moved = [...places];
  for (let at = 1; at < moved.length; at++) moved[at] = Math.max(moved[at]!, moved[at - 1]! + apartPx);
  const over = (moved.at(-1) ?? 0) - to;
  if (over > 0) {
    moved[moved.length - 1] = to;
    for (let at = moved.length - 2; at >= 0; at--) moved[at] = Math.min(moved[at]!, moved[at + 1]! - apartPx);
  }
  if ((moved[0] ?? from) < from) return places.map((_, at) => from + at * apartPx);
  return moved;
}
