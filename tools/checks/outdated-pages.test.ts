import { describe, expect, it } from 'vitest';
import { outdatedPages } from './outdated-pages.ts';

const page = { path: 'docs/errors.md', text: 'as the code says\n' };

describe('a generated page', () => {
  it('is fine as the generator makes it', () => {
    expect(outdatedPages([page], [page])).toEqual([]);
  });

  it('is reported when it is missing or different', () => {
    expect(outdatedPages([], [page])).toMatchObject([{ where: page.path }]);
    expect(outdatedPages([{ ...page, text: 'edited\n' }], [page])).toMatchObject([{ where: page.path }]);
  });

  it('is reported when its command is gone', () => {
    const orphan = { path: 'docs/schemas/gone.json', text: '{}\n' };
    expect(outdatedPages([page, orphan], [page])).toMatchObject([{ where: orphan.path }]);
  });
});
