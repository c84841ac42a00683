/** Sizes of texts, before they are drawn. */

let context: CanvasRenderingContext2D | null | undefined;

/** How wide a text in the charts' labels is. Unit: CSS pixels. */
export function textWidth(text: string): number {
  context ??= document.createElement('canvas').getContext('2d');
  if (!context) return text.length * 7;
  context.font = `600 11.5px ${getComputedStyle(document.body).fontFamily}`;
  return context.measureText(text).width;
}
