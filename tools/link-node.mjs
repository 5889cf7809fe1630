// Makes node_modules/.bin/node the pinned Node, so that npm's scripts run on it. npm 10 takes the link away again when it
// drops the packages for other platforms, which have a program of the same name.
import { existsSync, rmSync, symlinkSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { findPinnedNode, root, whyNoNode } from '../bin/pinned-node.mjs';

const link = join(root, 'node_modules/.bin/node');
const target = findPinnedNode();

if (target === undefined) {
  const { message, hint } = whyNoNode();
  process.stderr.write(`Error: ${message}.\n${hint}\n`);
  process.exitCode = 10;
} else if (!existsSync(link)) {
  rmSync(link, { force: true });
  symlinkSync(relative(dirname(link), target), link);
}
