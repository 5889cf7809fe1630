import { z } from 'zod';

/**
 * An array whose length is checked before its elements: of a stranger's millions of wrong ones, zod would otherwise keep an
 * issue for each.
 */
export function boundedList<Element extends z.ZodType>(
  element: Element,
  { min = 0, max }: { readonly min?: number; readonly max: number },
) {
  return z.array(z.unknown()).min(min).max(max).pipe(z.array(element));
}
