import { X509Certificate } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeEach, describe, expect, it } from 'vitest';
import {
  chart,
  find,
  managerOf,
  need,
  podOf,
  podsOf,
  refusal,
  release,
  render,
  settingsOf,
  variablesOf,
} from './helm.ts';

beforeEach((context) => need(context, 'helm'));

const setting = (...values: string[]): string[] => values.flatMap((value) => ['--set', value]);
const software = setting(
  'enclaveos-chart.Manager.Sealing=software',
  'enclaveos-chart.Manager.SoftwareKeySecretName=host-keys',
);
const bucket = setting(
  'global.S3.Bucket=backups',
  'global.S3.HmacSecretName=credentials',
  'global.S3.Endpoint=s3.example',
);
const database = `${release}-enclaveos-cockroachdb`;
const manager = `${release}-enclaveos-manager`;

describe('names', () => {
  it.each(['demo', 'enclave-manager', 'my-enclaveos-chart', 'cockroachdb'])('are those of the steps for %s', (name) => {
    const manifests = render(software, name);
    for (const kind of ['StatefulSet', 'Service', 'PodDisruptionBudget', 'ServiceAccount'])
      expect(find(manifests, kind, `${name}-enclaveos-cockroachdb`)).toBeDefined();
    for (const kind of ['Deployment', 'Service', 'PodDisruptionBudget', 'ServiceAccount'])
      expect(find(manifests, kind, `${name}-enclaveos-manager`)).toBeDefined();
  });
});

describe('backups', () => {
  it('are off without any backup value', () => {
    const settings = settingsOf(render(software));
    expect(settings['ENCLAVE_MANAGER_REPOSITORY']).toBe('none');
    expect(settings['ENCLAVE_MANAGER_BACKUP_SCHEDULE']).toBe('');
    expect(Object.keys(settings).filter((name) => /AWS|S3/.test(name))).toEqual([]);
  });

  it.each([
    ['', 's3://backups'],
    ['one', 's3://backups/one'],
    ['/one/', 's3://backups/one'],
    ['///a/b//', 's3://backups/a/b'],
    ['/', 's3://backups'],
  ])('go to the prefix "%s" as %s', (prefix, repository) => {
    const settings = settingsOf(
      render([...software, ...bucket, '--set-string', `enclaveos-chart.Backup.S3Prefix=${prefix}`]),
    );
    expect(settings['ENCLAVE_MANAGER_REPOSITORY']).toBe(repository);
  });

  it('keep a schedule with commas that are written as --set wants them', () => {
    const schedule = String.raw`enclaveos-chart.Backup.CronSchedule=0 0\,12 1-5\,15 * mon\,fri`;
    const settings = settingsOf(render([...software, ...bucket, ...setting(schedule)]));
    expect(settings['ENCLAVE_MANAGER_BACKUP_SCHEDULE']).toBe('0 0,12 1-5,15 * mon,fri');
  });

  it('take their credentials from files of the Secret, and nowhere else', () => {
    const manifests = render([...software, ...bucket]);
    expect(settingsOf(manifests)).toMatchObject({
      AWS_ACCESS_KEY_ID_FILE: '/run/enclave-manager/s3/AWS_ACCESS_KEY_ID',
      AWS_SECRET_ACCESS_KEY_FILE: '/run/enclave-manager/s3/AWS_SECRET_ACCESS_KEY',
    });
    expect(JSON.stringify(manifests)).not.toContain('secretKeyRef');
    expect(managerOf(manifests).volumes).toContainEqual({ name: 's3', secret: { secretName: 'credentials' } });
  });

  it('keep what Keep says, zero included', () => {
    const settings = settingsOf(render([...software, ...bucket, ...setting('enclaveos-chart.Backup.Keep.Safety=0')]));
    const kept = Object.entries(settings).filter(([name]) => name.includes('KEEP'));
    expect(kept).toEqual([['ENCLAVE_MANAGER_KEEP_SAFETY', '0']]);
  });
});

describe('the database', () => {
  it('is reached by the managers with a certificate that they check and one that they show', () => {
    const url = new URL(settingsOf(render(software))['ENCLAVE_MANAGER_DATABASE_URL']!);
    expect([url.username, url.host, url.pathname]).toEqual(['enclave_manager', `${database}-public:26257`, '/malbork']);
    expect(Object.fromEntries(url.searchParams)).toEqual({
      sslmode: 'verify-full',
      sslrootcert: '/run/enclave-manager/database/ca.crt',
      sslcert: '/run/enclave-manager/database/client.enclave_manager.crt',
      sslkey: '/run/enclave-manager/database/client.enclave_manager.key',
    });
  });

  it('gives the managers nothing of root, nor the key of a node', () => {
    const { volumes } = managerOf(render(software));
    expect(JSON.stringify(volumes)).toContain('client.enclave_manager.key');
    expect(JSON.stringify(volumes)).not.toMatch(/client\.root|node\.key/);
  });

  it('has certificates that Helm makes once and then leaves alone', () => {
    const secret = find(render(software), 'Secret', `${database}-certificates`);
    expect(secret.metadata.annotations).toEqual({ 'helm.sh/hook': 'pre-install,pre-upgrade' });
    expect(Object.keys(secret.data ?? {}).toSorted()).toEqual([
      'ca.crt',
      'client.enclave_manager.crt',
      'client.enclave_manager.key',
      'client.root.crt',
      'client.root.key',
      'node.crt',
      'node.key',
    ]);
    const certificate = (name: string) => new X509Certificate(Buffer.from(secret.data![name]!, 'base64'));
    const authority = certificate('ca.crt');
    for (const [name, subject] of [
      ['node', 'node'],
      ['client.root', 'root'],
      ['client.enclave_manager', 'enclave_manager'],
    ] as const) {
      expect(certificate(`${name}.crt`).verify(authority.publicKey), name).toBe(true);
      expect(certificate(`${name}.crt`).subject).toBe(`CN=${subject}`);
    }
    for (const host of ['localhost', `${database}-public`, `${database}-2.${database}.default.svc.cluster.local`])
      expect(certificate('node.crt').checkHost(host), host).toBeDefined();
  });

  it('is open where that is asked for by name', () => {
    const manifests = render([...software, ...setting('enclaveos-chart.CockroachDB.Insecure=true')]);
    expect(settingsOf(manifests)['ENCLAVE_MANAGER_DATABASE_URL']).toMatch(/\/malbork\?sslmode=disable$/);
    const [node] = podOf(manifests, 'StatefulSet', database).containers;
    expect(variablesOf(node!)).toMatchObject({ SECURITY: '--insecure', COCKROACH_USER: 'enclave_manager' });
    expect(JSON.stringify(manifests)).not.toContain('"kind":"Secret"');
  });

  it('joins three nodes, and has one alone', () => {
    const three = render([...software, ...setting('enclaveos-chart.CockroachDB.Replicas=3')]);
    const nodeOf = (manifests: typeof three) => variablesOf(podOf(manifests, 'StatefulSet', database).containers[0]!);
    expect(nodeOf(three)).toMatchObject({
      NODES: '3',
      JOIN: [0, 1, 2].map((node) => `${database}-${node}.${database}:26257`).join(','),
    });
    expect(nodeOf(render(software))).toMatchObject({ NODES: '1' });
  });

  it('is not installed beside one of your own, whose URL is a file', () => {
    const manifests = render([...software, ...setting('global.Database.UrlSecretName=database-url')]);
    expect(
      manifests.filter(({ kind, metadata }) => kind === 'StatefulSet' || metadata.name.startsWith(database)),
    ).toEqual([]);
    const settings = settingsOf(manifests);
    expect(settings['ENCLAVE_MANAGER_DATABASE_URL_FILE']).toBe('/run/enclave-manager/database/url');
    expect(settings['ENCLAVE_MANAGER_DATABASE_URL']).toBeUndefined();
  });
});

it('asks nothing of Kubernetes', () => {
  const kinds = render([...software, ...bucket]).map(({ kind }) => kind);
  expect(kinds.filter((kind) => /Role|CustomResource|Webhook/.test(kind))).toEqual([]);
});

describe('every container', () => {
  it('but those that make a directory or open a device is without privileges, on a read-only root', () => {
    for (const { name, pod } of podsOf(render([...software, ...bucket]))) {
      expect(pod.automountServiceAccountToken, name).toBe(false);
      expect(pod.securityContext, name).toMatchObject({
        runAsNonRoot: true,
        seccompProfile: { type: 'RuntimeDefault' },
      });
      for (const container of [...pod.containers, ...(pod.initContainers ?? [])]) {
        expect(container.securityContext, `${name}/${container.name}`).toMatchObject({
          allowPrivilegeEscalation: false,
          readOnlyRootFilesystem: true,
          capabilities: { drop: ['ALL'] },
        });
        const isRoot = container.securityContext?.['runAsUser'] === 0;
        expect(isRoot, `${name}/${container.name}`).toBe(container.name === 'state-directory');
      }
    }
  });

  it('of a manager is privileged only where a TPM of the host is mounted without a device plugin', () => {
    const privileged = (...values: string[]) =>
      managerOf(render(setting('enclaveos-chart.Manager.Sealing=tpm2', ...values))).containers[0]!.securityContext?.[
        'privileged'
      ] === true;
    expect(privileged()).toBe(true);
    expect(privileged('enclaveos-chart.Manager.Tpm.DeviceResource=squat.ai/tpmrm0')).toBe(false);
    expect(privileged('enclaveos-chart.Manager.Tpm.Tcti=swtpm:port=2321')).toBe(false);
  });

  it('of a manager asks for its sealing device', () => {
    const limits = (...values: string[]) => managerOf(render(setting(...values))).containers[0]!.resources?.limits;
    expect(limits('enclaveos-chart.Manager.Sealing=sgx')).toMatchObject({
      'sgx.intel.com/enclave': 1,
      'sgx.intel.com/provision': 1,
      memory: '2Gi',
    });
    expect(
      limits('enclaveos-chart.Manager.Sealing=tpm2', 'enclaveos-chart.Manager.Tpm.DeviceResource=squat.ai/tpmrm0'),
    ).toEqual({ 'squat.ai/tpmrm0': 1, memory: '2Gi' });
  });
});

describe('a job', () => {
  const job = (...values: string[]) => render([...software, ...bucket, ...setting(...values)]);

  it('is in no release unless its arguments are given', () => {
    expect(job().filter(({ kind }) => kind === 'Job')).toEqual([]);
  });

  it('runs the command on the host that is named, with the settings of the managers', () => {
    const manifests = job(
      'enclaveos-chart.Job.Arguments={restore,run,latest,--yes}',
      'enclaveos-chart.Job.Host=host-b',
    );
    const pod = podOf(manifests, 'Job', `${release}-enclaveos-restore-run`);
    const [task] = pod.containers;
    expect(task).toMatchObject({ args: ['restore', 'run', 'latest', '--yes'] });
    expect(JSON.stringify(pod)).toContain('{"key":"metadata.name","operator":"In","values":["host-b"]}');
    const { ENCLAVE_MANAGER_WAIT, ENCLAVE_MANAGER_COMMAND_HERE, ENCLAVE_MANAGER_COMMAND_ENROL, POD, ...shared } =
      settingsOf(manifests);
    expect([ENCLAVE_MANAGER_WAIT, POD]).toEqual(['1', '']);
    expect(ENCLAVE_MANAGER_COMMAND_HERE).toContain('$(POD)');
    expect(ENCLAVE_MANAGER_COMMAND_ENROL).toContain('enclaveos-chart.Job.Host=$(ENCLAVE_MANAGER_NODE_NAME)');
    expect(variablesOf(task!)).toEqual(shared);
  });

  it('keeps an export for as long as it takes to fetch it', () => {
    const manifests = job('enclaveos-chart.Job.Arguments={backup,export,latest,--format,sql}');
    const [task] = podOf(manifests, 'Job', `${release}-enclaveos-backup-export`).containers;
    expect(task).toMatchObject({
      args: ['backup', 'export', 'latest', '--format', 'sql'],
      readinessProbe: { exec: { command: ['test', '-e', '/export/backup.sql'] } },
    });
    expect(JSON.stringify(task)).toContain('--output /export/backup.sql');
  });

  it('reads a token from a file', () => {
    const manifests = job('enclaveos-chart.Job.Arguments={node,enrol}', 'enclaveos-chart.Job.TokenSecretName=token');
    const [task] = podOf(manifests, 'Job', `${release}-enclaveos-node-enrol`).containers;
    expect(task).toMatchObject({ args: ['node', 'enrol', '--token-file', '/run/enclave-manager/token/token'] });
  });
});

describe('helm test', () => {
  const tests = (...options: string[]) =>
    render([...software, ...options]).filter(({ metadata }) => metadata.annotations?.['helm.sh/hook'] === 'test');
  const names = (...options: string[]) => tests(...options).map(({ metadata }) => metadata.name);

  it('asks for database and sealing, and for bucket and last backup where there is a bucket', () => {
    expect(names()).toEqual([`${release}-enclaveos-test-database`, `${release}-enclaveos-test-sealing`]);
    expect(names(...bucket)).toHaveLength(4);
    const args = tests(...bucket).map(({ spec }) => (spec!.containers[0] as { args?: string[] }).args);
    expect(args).toEqual([undefined, ['repository', 'check'], undefined, ['node', 'probe']]);
    expect(JSON.stringify(tests(...bucket)[2])).toContain('restore plan latest --json');
  });

  it('runs where a manager runs, or anywhere while none does', () => {
    expect(JSON.stringify(tests())).toContain('podAffinity');
    const stopped = tests(...setting('enclaveos-chart.Manager.ReplicaCount=0'));
    expect(JSON.stringify(stopped)).not.toContain('podAffinity');
    expect(JSON.stringify(stopped)).toContain('"measure"');
  });
});

it('gives an enclave no setting and no file that its manifest does not let in', () => {
  const manifest = readFileSync(join(chart, '../../image/enclave-manager.manifest.template'), 'utf8');
  const retention = ['--values', join(chart, 'ci/retention-values.yaml')];
  const sgx = [
    '--set',
    'enclaveos-chart.Manager.Sealing=sgx',
    '--set',
    'enclaveos-chart.Manager.SoftwareKeySecretName=',
  ];
  const pod = managerOf(render([...retention, ...sgx]));
  // What an enclave prints is its own: nobody outside says how commands are spelled in it.
  const settings = Object.keys(variablesOf(pod.containers[0]!)).filter((name) => !/^POD$|_COMMAND/.test(name));
  expect(settings.length).toBeGreaterThan(20);
  expect(settings.filter((name) => !manifest.includes(`loader.env.${name} = `))).toEqual([]);
  const places = pod.containers[0]!.volumeMounts!.map(({ mountPath }) => mountPath);
  const outside = places.filter(
    (path) => !['/run/enclave-manager', '/data', '/tmp'].some((place) => path.startsWith(place)),
  );
  // The platform's quoting service, which Gramine talks to from outside of the enclave.
  expect(outside).toEqual(['/var/run/aesmd']);
  for (const place of ['/run/enclave-manager', '/data', '/tmp']) expect(manifest).toContain(`path = "${place}"`);
});

describe('network policies', () => {
  const egressPorts = (endpoint: string, ...more: string[]) => {
    const options = [...software, ...bucket.slice(0, 4), ...setting(`global.S3.Endpoint=${endpoint}`, ...more)];
    const policy = find(render(options), 'NetworkPolicy', manager) as unknown as {
      spec: { egress: { ports: { port: number }[] }[] };
    };
    return policy.spec.egress[0]!.ports.map(({ port }) => port);
  };

  it.each([
    ['s3.example', [53, 53, 443]],
    ['https://s3.example:9000/path', [53, 53, 9000, 443]],
    ['http://127.0.0.1:7480', [53, 53, 7480, 443]],
    ['http://s3.example', [53, 53, 80, 443]],
  ])('let the managers out to the port of %s', (endpoint, ports) => {
    expect(egressPorts(endpoint)).toEqual(ports);
  });

  it('let them out to a TPM behind a socket', () => {
    const socket = String.raw`enclaveos-chart.Manager.Tpm.Tcti=swtpm:host=swtpm\,port=2321`;
    const tpm = ['enclaveos-chart.Manager.Sealing=tpm2', 'enclaveos-chart.Manager.SoftwareKeySecretName=', socket];
    expect(egressPorts('s3.example', ...tpm)).toEqual([53, 53, 443, 2321]);
  });

  it('let them out to a database of your own', () => {
    expect(egressPorts('s3.example', 'global.Database.UrlSecretName=url')).toEqual([53, 53, 443, 5432, 26257]);
  });
});

it('says how to name the software key of a host whose pod does not start', () => {
  const { initContainers } = managerOf(render(software));
  expect(JSON.stringify(initContainers)).toContain('has no $NODE.key, the key of this host');
  expect(refusal(setting('enclaveos-chart.Manager.Sealing=software'))).toContain('<node name>.key');
});
