import { z } from 'zod';
import { commandName } from '#cli/command.ts';
import { commands } from '#cli/commands.ts';
import { checksumsPath, completedChecksums } from '../checks/migration-checksums.ts';
import type { ProjectFile } from '../checks/project-files.ts';
import { chartPages } from './chart-pages.ts';
import { cliPage, schemaLink } from './cli-page.ts';
import { errorsPage } from './errors-page.ts';

/** Every file that is made from code, as it should be. */
export function generatedPages(files: readonly ProjectFile[]): ProjectFile[] {
  const schemas = commands.map((command) => ({
    path: `docs/${schemaLink(commandName(command))}`,
    text: `${JSON.stringify(z.toJSONSchema(command.result(z)), null, 2)}\n`,
  }));
  return [
    { path: 'docs/errors.md', text: errorsPage() },
    { path: 'docs/cli.md', text: cliPage(commands) },
    { path: checksumsPath, text: completedChecksums(files) },
    ...chartPages(files),
    ...schemas,
  ];
}
