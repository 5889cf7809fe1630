// Compares the documentation with the code and with itself: npm run docs.
import { unknownCommands } from './checks/documented-commands.ts';
import { brokenLinks } from './checks/links.ts';
import { changedMigrations } from './checks/migration-checksums.ts';
import { unknownFlags } from './checks/named-flags.ts';
import { outdatedPages } from './checks/outdated-pages.ts';
import { report } from './checks/problem.ts';
import { projectRoot, readProjectFiles } from './checks/project-files.ts';
import { differentCommands } from './checks/translation.ts';
import { generatedPages } from './pages/generated-pages.ts';

const files = readProjectFiles(projectRoot);
const textOf = (path: string): string => files.find((file) => file.path === path)?.text ?? '';
const translated = ['README', 'docs/backup-restore'];
report(
  [
    ...outdatedPages(files, generatedPages(files)),
    ...brokenLinks(files),
    ...unknownCommands(files),
    ...unknownFlags(files),
    ...translated.flatMap((page) => differentCommands(textOf(`${page}.md`), textOf(`${page}.ja.md`), `${page}.ja.md`)),
    ...changedMigrations(files),
  ],
  'documentation',
);
