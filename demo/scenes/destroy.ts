import { readdirSync, rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { formatCount, formatSize } from '#cli/output/units.ts';
import type { Stage } from '../stage.ts';

export async function destroy({ narrator, east, west, repository }: Stage): Promise<void> {
  narrator.scene('The disaster');
  const { bytes } = sizeOf(east.dataDirectory);
  await east.stop();
  rmSync(east.dataDirectory, { recursive: true });
  narrator.say(
    `east-1 is gone. Its manager is stopped and its data directory deleted: ${formatSize(bytes)} with the database, the
    key, everything. The repository is left, and the hosts of the other site.`,
  );
  for (const entry of readdirSync(west.dataDirectory)) {
    if (entry !== 'keys') rmSync(join(west.dataDirectory, entry), { recursive: true });
  }
  const [key, stored] = [sizeOf(west.dataDirectory), sizeOf(repository)];
  narrator.say('west-1 is wiped too. It has no database and remembers nothing; all it has is its key.');
  narrator.output(
    `\nwest-1      ${formatCount(key.files)} file, ${formatSize(key.bytes)}: keys/host.key\n` +
      `repository  ${formatCount(stored.files)} files, ${formatSize(stored.bytes)}`,
  );
}

function sizeOf(directory: string): { readonly files: number; readonly bytes: number } {
  const files = readdirSync(directory, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile());
  // A running database removes files while they are counted.
  const sizeBytes = (path: string): number => statSync(path, { throwIfNoEntry: false })?.size ?? 0;
  const bytes = files.reduce((sum, { parentPath, name }) => sum + sizeBytes(join(parentPath, name)), 0);
  return { files: files.length, bytes };
}
