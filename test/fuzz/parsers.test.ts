import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { isEnclaveManagerError } from '#errors/enclave-manager-error.ts';
import { keep, readCorpus } from './corpus.ts';
import { mutate, mutations } from './mutations.ts';
import type { Target } from './target.ts';
import { allTargets } from './targets.ts';

/** `npm run fuzz` sets them; without, the run is short and always the same. */
const runs = Number(process.env['FUZZ_RUNS'] ?? 150);
const seed = Number(process.env['FUZZ_SEED'] ?? 20_261_122);
const collects = process.env['FUZZ_COLLECT'] === '1';
const MiB = 1024 * 1024;
/** More than thirty times what the slowest takes. */
const mostCpuMs = 5_000;
const targets = await allTargets();

/**
 * How an input was read: `read`, or the code and the shape of the message. Throws what is neither, and what took too much of
 * the processor: counted in this thread alone, so that nobody else's load makes it more.
 */
async function outcomeOf(target: Target, input: Buffer): Promise<string> {
  const before = process.threadCpuUsage();
  const outcome = await readOf(target, input);
  const { user, system } = process.threadCpuUsage(before);
  const cpuMs = (user + system) / 1000;
  if (cpuMs > mostCpuMs) throw new Error(`an input of ${input.length} bytes took ${cpuMs} ms of the processor`);
  return outcome;
}

async function readOf(target: Target, input: Buffer): Promise<string> {
  try {
    const result = await target.read(input);
    return typeof result === 'string' ? `read: ${shapeOf(result)}` : 'read';
  } catch (error) {
    if (!isEnclaveManagerError(error) || !target.codes.includes(error.code)) throw error;
    return `${error.code}: ${shapeOf(error.message)}`;
  }
}

/** A message without what it quotes, so that two inputs which are refused for one reason look alike. */
function shapeOf(message: string): string {
  if (message.length > 20_000) throw new Error(`a message of ${message.length} characters`);
  return message.replaceAll(/"[^"]*"|[0-9a-f]{4,}|\d+/g, '…').slice(0, 200);
}

describe.each(targets.map((target) => ({ name: target.name, target })))(
  '$name',
  { timeout: 3_600_000 },
  ({ target }) => {
    it('reads its valid inputs', async () => {
      for (const input of target.seeds) expect(await outcomeOf(target, input)).toBe('read');
    });

    it('answers every input of the corpus, or refuses it with a typed error', async () => {
      for (const { file, bytes } of readCorpus(target.name)) {
        await expect(outcomeOf(target, bytes), file).resolves.toEqual(expect.any(String));
      }
    });

    it('answers mutations of them, or refuses with a typed error, within bounds', async () => {
      const inputs = [...target.seeds, ...readCorpus(target.name).map(({ bytes }) => bytes)];
      const seen = new Set<string>();
      for (const input of inputs) seen.add(await outcomeOf(target, input));
      const before = process.memoryUsage.rss();
      const property = fc.asyncProperty(
        fc.nat({ max: inputs.length - 1 }),
        mutations(target.json),
        async (index, changes) => {
          const input = mutate(inputs[index]!, changes);
          const outcome = await outcomeOf(target, input).catch((error: unknown) => {
            if (collects) keep(target.name, 'crash', input);
            throw error;
          });
          if (collects && !seen.has(outcome) && input.length < 20_000) keep(target.name, 'input', input);
          seen.add(outcome);
        },
      );
      await fc.assert(property, { numRuns: runs, seed, endOnFailure: runs > 10_000 });
      expect(process.memoryUsage.rss() - before).toBeLessThan(512 * MiB);
      // A target whose mutations are all refused alike, or all read, is not being tested.
      expect(seen.size).toBeGreaterThan(target.codes.length === 0 ? 0 : 1);
    });
  },
);
