import { expect, it } from 'vitest';
import { Story } from './story.ts';

function tell(): { story: Story; told: () => string } {
  let text = '';
  const story = new Story(
    (more) => (text += more),
    () => 0,
  );
  return { story, told: () => text };
}

it('values that are as they should be, and others, are counted and shown', async () => {
  const { story, told } = tell();
  await story.step('Look', async () => {
    story.check('rows', ['a', 1], ['a', 1]);
    story.check('state', 'down', 'up');
    story.check('nothing', undefined, null);
  });
  expect([story.passed, story.failed]).toEqual([1, 2]);
  expect(told()).toContain('1. Look\n   ✓ rows: ["a",1]\n   ✗ FAILED state: down, not up\n');
});

it('a step that cannot go on counts as failed, and ends the story', async () => {
  const { story } = tell();
  const step = story.step('Fall', () => Promise.reject(new Error('the cluster is gone')));
  await expect(step).rejects.toThrow('the cluster is gone');
  expect([story.passed, story.failed]).toEqual([0, 1]);
});
