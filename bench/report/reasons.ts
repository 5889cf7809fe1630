import { type Row, verdict } from '../result.ts';

/** Why a promise is missed where it is, and what would get there: the beginning of its line, and the answer. */
const reasons: readonly (readonly [string, string])[] = [
  [
    'streaming phase of a full backup',
    'Two processors do the work of the database and ours, so CPU decides. The database spends the same for either; of its own `pg_dump` only compresses, while a backup also gives each chunk its keyed hash, encrypts it and takes the digest of the object. A third processor hides it; so would a native module that hashes and compresses in one pass.',
  ],
  [
    'whole `backup create`, against `pg_dump | zstd | age`',
    'That one reads nothing back. A backup decrypts, unpacks and hashes every new chunk once more before it is listed, which is more than what it is behind by.',
  ],
  [
    'whole `backup create`, against `pg_dump`',
    'As for the streaming phase, and every new chunk is read back, unpacked and hashed before the backup is listed.',
  ],
  [
    'nothing changed, against the drain',
    'The drain throws away what it reads, in C. Here every byte passes through the event loop of a thread, is cut into chunks and hashed, while the database shares the two processors; and the server counts all rows again. A third processor hides it.',
  ],
  [
    'memory of our process',
    'Two threads that move rows have a JavaScript heap each and buffers of several chunks; to S3, the SDK keeps requests under way besides. From 1 to 8 GB of rows it grows by a tenth. Fewer uploads at once and smaller chunks would get there, and cost time.',
  ],
  [
    'memory of backup, verify and restore',
    'Two threads that move rows have a JavaScript heap each and buffers of several chunks; from 1 to 8 GB of rows they grow by a tenth.',
  ],
  [
    'list of',
    'It is bound by one processor that reads and checks what is remembered; other work beside it shows at once.',
  ],
  [
    'prune, dry run',
    'It reads every manifest and checks every signature; that is its promise. Signatures are checked by two threads, and two processors are what there was.',
  ],
];

/** A paragraph for each promise that was missed; nothing where none was. */
export function whyMissed(rows: readonly Row[]): string {
  const missed = rows.filter((row) => verdict(row) === 'missed');
  if (missed.length === 0) return '';
  const lines = missed.map(({ work }) => `- **${work}**: ${reasonFor(work)}`);
  return `\n### What was missed, and what would get there\n\n${lines.join('\n')}\n`;
}

const reasonFor = (work: string): string =>
  reasons.find(([beginning]) => work.startsWith(beginning))?.[1] ?? 'not looked into yet';
