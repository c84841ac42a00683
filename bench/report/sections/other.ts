import { valuesOf, varying } from '../cells.ts';
import { figureBars } from '../charts/bars.ts';
import { curves } from '../charts/curves.ts';
import { kindOf } from '../figures.ts';
import type { SectionKind } from './section.ts';

/** A suite that the page knows nothing of: its first figure, along the first number that varies. */
export const otherSection: SectionKind = {
  charts: ({ suite, cells }) => {
    const figure = Object.keys(cells[0]?.figures ?? {})[0];
    if (figure === undefined) return [];
    const x = varying(cells).find((name) => valuesOf(cells, name).every((value) => typeof value === 'number'));
    const head = { id: `${suite}-${figure}`, title: kindOf(figure).title, about: '' };
    return [
      x === undefined
        ? figureBars(cells, figure, head)
        : curves(cells, { ...head, x, xScale: 'linear', figure, yScale: 'linear' }),
    ];
  },
};
