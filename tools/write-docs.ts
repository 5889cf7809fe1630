// Writes what the documentation takes from the code: npm run docs:write.
import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { projectRoot, readProjectFiles } from './checks/project-files.ts';
import { generatedPages } from './pages/generated-pages.ts';

const files = readProjectFiles(projectRoot);
for (const { path, text } of generatedPages(files)) {
  if (files.some((file) => file.path === path && file.text === text)) continue;
  mkdirSync(dirname(join(projectRoot, path)), { recursive: true });
  writeFileSync(join(projectRoot, path), text);
  process.stdout.write(`${path}: written\n`);
}
