import { namingOf } from '../words.ts';
import type { SectionKind } from './section.ts';

export const flameSection: SectionKind = {
  title: 'Where the time goes',
  about: 'CPU profiles of servers under load, by the runtime and by perf.',
  charts: () => [],
  notes: ({ cells }) => {
    const naming = namingOf(cells);
    return cells.flatMap((cell) => {
      const { top, svg, speedscope } = cell.notes ?? {};
      const files = [svg, speedscope].filter((file) => file !== undefined).join(' and ');
      return top === undefined ? [] : [`${naming(cell)}: ${top}${files === '' ? '' : `. The whole profile: ${files}`}`];
    });
  },
};
