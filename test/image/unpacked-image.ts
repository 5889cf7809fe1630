import { execFileSync, spawnSync } from 'node:child_process';
import { chownSync, mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { projectRoot } from '../../tools/checks/project-files.ts';
import type { RunSettings } from '../../tools/image/containerfile.ts';

const needed = ['mmdebstrap', 'unshare', 'nsenter', 'ip', 'tar'];
const missing = needed.filter((program) => spawnSync('which', [program]).status !== 0);

/** Why no image can be built and run here. */
export const imageUnavailable =
  missing.length > 0
    ? `install ${missing.join(', ')}: apt-get install mmdebstrap iproute2 util-linux`
    : process.getuid?.() === 0
      ? undefined
      : 'be root: an image is unpacked with its owners and run in namespaces';

export interface UnpackedImage {
  /** Its file tree. */
  readonly root: string;
  readonly settings: RunSettings;
  /** The variables of its settings and no others. */
  readonly environment: Readonly<Record<string, string>>;
  /** The packages that its bill of materials names: `name version`. */
  readonly bill: readonly string[];
  /** A new directory of the image's user, for `/data`. */
  newDataDirectory(): string;
  remove(): void;
}

/**
 * Unpacks the archive that `npm run image` makes: the one that `IMAGE_ARCHIVE` names, else one of now. `IMAGE_BASE` keeps the
 * Debian under that.
 */
export function buildAndUnpack(): UnpackedImage {
  const directory = mkdtempSync(join(tmpdir(), 'enclave-manager-image-test-'));
  const archive = process.env['IMAGE_ARCHIVE'] ?? build(directory);
  const layout = join(directory, 'layout');
  mkdirSync(layout);
  execFileSync('tar', ['-xf', archive, '-C', layout]);
  const read = (path: string): unknown => JSON.parse(readFileSync(join(layout, path), 'utf8'));
  const [image] = read('manifest.json') as { Config: string; Layers: string[] }[];
  const root = join(directory, 'root');
  mkdirSync(root, { mode: 0o755 });
  for (const layer of image!.Layers) execFileSync('tar', ['--numeric-owner', '-xpzf', join(layout, layer), '-C', root]);
  const { config: settings } = read(image!.Config) as { config: RunSettings };
  let count = 0;
  return {
    root,
    settings,
    environment: Object.fromEntries(settings.Env.map((entry) => entry.split('=', 2) as [string, string])),
    bill: readBill(`${archive}.cdx.json`),
    newDataDirectory: () => {
      const path = join(directory, `data-${count++}`);
      mkdirSync(path, { mode: 0o700 });
      chownSync(path, 65532, 65532);
      return path;
    },
    remove: () => rmSync(directory, { recursive: true, force: true }),
  };
}

function build(directory: string): string {
  const output = join(directory, 'image.tar');
  const base = process.env['IMAGE_BASE'] ?? join(directory, 'base.tar');
  const words = [join(projectRoot, 'tools/build-image.ts'), '--output', output, '--base', base];
  execFileSync(process.execPath, words, { stdio: ['ignore', 'inherit', 'inherit'] });
  return output;
}

function readBill(path: string): string[] {
  const { components } = JSON.parse(readFileSync(path, 'utf8')) as { components: Record<string, string>[] };
  return components.map(({ group, name, version }) => `${group === undefined ? '' : `${group}/`}${name} ${version}`);
}
