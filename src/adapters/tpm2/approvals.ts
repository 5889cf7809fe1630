import { readdir, readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { errnoName } from '#errors/file-system-error.ts';
import { type Approval, parseApproval } from '#model/tpm/approval.ts';
import { unavailable } from './tpm-device.ts';

const maxFiles = 1000;
const maxFileBytes = 65_536;

/**
 * The approvals in a directory, newest name first; none where there is no directory. They are not secret and the TPM checks
 * the signatures, so a file that is none is passed over.
 */
export async function readApprovals(directory: string): Promise<Approval[]> {
  try {
    const names = (await readdir(directory)).filter((name) => name.endsWith('.json')).toSorted();
    const approvals: Approval[] = [];
    for (const name of names.toReversed().slice(0, maxFiles)) {
      const path = join(directory, name);
      const facts = await stat(path);
      if (!facts.isFile() || facts.size > maxFileBytes) continue;
      const approval = parseApproval(await readFile(path, 'utf8'));
      if (approval !== undefined) approvals.push(approval);
    }
    return approvals;
  } catch (error) {
    if (errnoName(error) === 'ENOENT') return [];
    throw unavailable(
      `the approvals in ${directory} cannot be read (${errnoName(error) ?? String(error)})`,
      'Let this user read that directory and the files in it.',
      error,
    );
  }
}
