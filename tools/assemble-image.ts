// What the Containerfile runs: node tools/assemble-image.ts TO, in a checkout after npm ci --omit=dev.
import { join } from 'node:path';
import { projectRoot } from './checks/project-files.ts';
import { assembleTree } from './image/assemble-tree.ts';

const [root] = process.argv.slice(2);
if (root === undefined) throw new Error('usage: node tools/assemble-image.ts TO');
assembleTree({ checkout: projectRoot, modules: join(projectRoot, 'node_modules') }, root);
