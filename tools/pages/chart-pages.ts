import { isMap, isScalar, parse, parseDocument, type YAMLMap } from 'yaml';
import type { ProjectFile } from '../checks/project-files.ts';
import { table } from './errors-page.ts';

const chart = 'charts/enclave-manager';
const subchart = 'enclaveos-chart';

export interface ChartValue {
  /** As it is written after `--set`. */
  readonly path: string;
  /** As it stands in the file, on one line. */
  readonly default: string;
  readonly help: string;
}

/** What is made from the commented values of the chart: its page, and the defaults that its notes compare with. */
export function chartPages(files: readonly ProjectFile[]): ProjectFile[] {
  const textOf = (path: string): string => files.find((file) => file.path === path)?.text ?? '{}';
  const own = textOf(`${chart}/values.yaml`);
  const sub = textOf(`${chart}/charts/${subchart}/values.yaml`);
  const defaults = { ...(parse(own) as object), [subchart]: parse(sub) as object };
  return [
    {
      path: `${chart}/README.md`,
      text: chartPage([...commentedValues(own, ''), ...commentedValues(sub, `${subchart}.`)]),
    },
    { path: `${chart}/files/defaults.json`, text: `${JSON.stringify(defaults, null, 2)}\n` },
  ];
}

/** Every value with a comment `# -- …` above it. A value without one, and not a group of others, is an error. */
export function commentedValues(text: string, prefix: string): ChartValue[] {
  const { contents } = parseDocument(text);
  return isMap(contents) ? valuesIn(contents, prefix) : [];
}

function valuesIn(map: YAMLMap, prefix: string): ChartValue[] {
  return map.items.flatMap(({ key, value }, index) => {
    if (!isScalar(key)) throw new Error(`a key below ${prefix} is not a word`);
    const path = `${prefix}${String(key.value)}`;
    // The parser gives what stands above the first key to the map.
    const comment = (index === 0 ? map.commentBefore : undefined) ?? key.commentBefore;
    if (comment?.trimStart().startsWith('-- ') === true)
      return [{ path, default: shown(value), help: helpOf(comment) }];
    if (isMap(value) && value.items.length > 0) return valuesIn(value, `${path}.`);
    throw new Error(`${path} has no comment that begins with "# --"`);
  });
}

const helpOf = (comment: string): string =>
  comment
    .split('\n')
    .map((line) => line.trim())
    .join(' ')
    .replace(/^-- /, '');

function shown(value: unknown): string {
  const plain: unknown = isScalar(value)
    ? value.value
    : isMap(value)
      ? value.toJSON()
      : JSON.parse(JSON.stringify(value));
  return plain === '' ? 'empty' : `\`${typeof plain === 'string' ? plain : JSON.stringify(plain)}\``;
}

const chartPage = (values: readonly ChartValue[]): string => `# The chart of Enclave Manager

Installs managers, one to a host, and their database: CockroachDB, or one of your own.

\`\`\`sh
kubectl create secret generic enclave-manager-backup-credentials \\
  --from-literal=AWS_ACCESS_KEY_ID=<key id> --from-literal=AWS_SECRET_ACCESS_KEY=<secret>
helm install <release> charts/enclave-manager \\
  --set enclaveos-chart.Manager.Sealing=<sgx or tpm2> \\
  --set enclaveos-chart.Backup.CronSchedule="0 0 * * *" \\
  --set global.S3.Endpoint=<endpoint> \\
  --set global.S3.Bucket=<orgname>-enclave-manager-backups \\
  --set global.S3.HmacSecretName=enclave-manager-backup-credentials
helm test <release> --logs
\`\`\`

\`helm upgrade\` takes the same options, and has to be given all of them: named in part, the others return to their
defaults; without any, those of before stay, \`ReplicaCount=0\` included. \`helm get notes <release>\` prints them as they
are in force, in full commands, with every way to restore. Without backup values no backups are taken, and everything
says so; added later, the empty bucket is taken over and a full backup made.

- A comma within \`--set\` is written \`\\,\`: \`--set enclaveos-chart.Backup.CronSchedule='0 0\\,12 * * *'\`. A value that is not
  known, or wrong, is refused by name before anything is installed.
- What a manager waits for, and what to type, stands in the events of its pod: \`kubectl describe pod\`, and on \`/readyz\`.
- A host is identified by its name in Kubernetes, its site by the label \`topology.kubernetes.io/zone\` of the pod, which
  Kubernetes copies from the node since 1.35; on an older one hosts have no site, and backups are the same.
- A rolling update stops the manager of a host before it starts the new one: a host's state is for one at a time.
- An uninstallation leaves the volumes of the database, its certificates, the bucket and the state on the hosts. New
  certificates: delete the Secret \`<release>-enclaveos-cockroachdb-certificates\`, upgrade, restart all pods.
- The state of a host is a directory of that host (hostPath): the namespace has to allow it (Pod Security \`privileged\`).
- The images have to be in a registry of yours, or on the hosts; none is published.
- The database's pods follow the documented commands and flags of CockroachDB's image, which itself has not been run: on a
  real Kubernetes every step was run with PostgreSQL 15 behind the same names, ports, certificates and commands. More than
  one node of CockroachDB needs a licence since 24.3.

## Values

${table(
  ['value', 'default', 'means'],
  values.map((value) => [`\`${value.path}\``, value.default, value.help]),
)}
This page is generated from the comments in \`values.yaml\`: \`npm run docs:write\`.
`;
