/**
 * What the page shows, as data. It is made from the suites' JSON (`sections/`), written into the page as it is (`page.ts`)
 * and drawn there (`browser/`), so that everything but the drawing is decided, and tested, without a browser.
 */
import type { Unit } from './format.ts';

export interface Section {
  /** The suite's name; also the section's anchor. */
  readonly id: string;
  readonly title: string;
  /** What it answers and how it was measured, one sentence or two. */
  readonly about: string;
  readonly charts: readonly Chart[];
  /** What has to be known to read the charts. */
  readonly notes: readonly string[];
  /** What was not measured, and why. */
  readonly skipped: readonly string[];
  /** All figures of all cells. */
  readonly table: Table;
}

export type Chart = LineChart | HeatMap | BarChart;

interface ChartHead {
  /** Unique in the page. */
  readonly id: string;
  readonly title: string;
  /** How it is to be read, in one sentence. */
  readonly about: string;
  /** The same figures as numbers. */
  readonly table: Table;
}

/** Curves with markers, in one panel or several that share their axes. */
export interface LineChart extends ChartHead {
  readonly kind: 'lines';
  readonly x: Axis;
  readonly y: Axis;
  readonly panels: readonly Panel[];
}

export interface Axis {
  readonly title: string;
  readonly unit: Unit;
  /** `band` has a place for each word. */
  readonly scale: 'log' | 'linear' | 'band';
  /** Where lines and words stand along it. Default: chosen by the library. */
  readonly ticks?: readonly Tick[];
  /** Of a `band`, all its words in order. */
  readonly words?: readonly string[];
}

export interface Tick {
  readonly value: number;
  readonly text: string;
}

export interface Panel {
  /** Empty when there is one panel alone. */
  readonly title: string;
  readonly series: readonly Series[];
}

export interface Series {
  readonly name: string;
  /** What decides colour, dashes and marker: the same look everywhere in the page. */
  readonly look: Look;
  readonly points: readonly Point[];
}

/** The index of one of the page's looks: a colour, a pattern of dashes and a marker. */
export type Look = number;

export interface Point {
  readonly x: number | string;
  readonly y: number;
  /** The range that is drawn around it; absent when it was measured once. */
  readonly range?: readonly [low: number, high: number];
  /** What is told of it when it is pointed at. */
  readonly detail: string;
}

/** A table with shades, one figure at a time. */
export interface HeatMap extends ChartHead {
  readonly kind: 'heat';
  readonly rows: readonly string[];
  readonly columns: readonly string[];
  readonly columnTitle: string;
  /** One is shown, a switch chooses which. */
  readonly views: readonly HeatView[];
}

export interface HeatView {
  readonly title: string;
  readonly cells: readonly HeatCell[];
}

export interface HeatCell {
  readonly row: string;
  readonly column: string;
  readonly text: string;
  /** From 0, the best of its column, to 1. */
  readonly shade: number;
  readonly detail: string;
}

/** Horizontal bars, each of one part or of several that add up, in one panel or several. */
export interface BarChart extends ChartHead {
  readonly kind: 'bars';
  readonly x: Axis;
  /** The names of the parts. */
  readonly parts: readonly string[];
  readonly panels: readonly BarPanel[];
}

export interface BarPanel {
  readonly title: string;
  readonly bars: readonly Bar[];
}

export interface Bar {
  readonly label: string;
  /** In the order of the chart's `parts`. */
  readonly values: readonly number[];
  /** What stands behind the bar. */
  readonly text: string;
  readonly detail: string;
}

export interface Table {
  readonly columns: readonly string[];
  readonly rows: readonly (readonly TableCell[])[];
}

/** A word, or a figure of the JSON as it is there, with the text that is shown for it and its 95 % interval. */
export type TableCell = string | { readonly value: number; readonly text: string; readonly range?: string };
