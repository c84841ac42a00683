/** The panels of a chart: how wide they are, and what one is in the page. */

/** Between two panels. */
const GAP_PX = 24;

/** A panel has at least this much for its drawing, besides names and numbers. */
const DRAWING_PX_MIN = 150;

/**
 * Panels beside each other where there is room, at most three; below each other elsewhere. `besidePx` is what each needs for
 * names and numbers beside its drawing.
 */
export function panelWidth(widthPx: number, panels: number, besidePx: number): { width: number; height: number } {
  const widthOf = (across: number): number => Math.floor((widthPx - GAP_PX * (across - 1)) / across);
  const across = [3, 2, 1].find((one) => one === 1 || (one <= panels && widthOf(one) >= besidePx + DRAWING_PX_MIN))!;
  const width = widthOf(across);
  return { width, height: Math.max(230, Math.min(340, Math.round(width * 0.72))) };
}

/** A drawing below its title, if it has one. */
export function panelElement(title: string, drawing: Element): HTMLElement {
  const element = document.createElement('div');
  element.className = 'panel';
  if (title !== '') {
    const heading = document.createElement('h4');
    heading.textContent = title;
    element.append(heading);
  }
  element.append(drawing);
  return element;
}
