import { createHmac } from 'node:crypto';
import type { ErrorCode } from '#errors/codes.ts';
import { testRandomness } from '#format/cluster-for-tests.ts';
import { newInvite, newJoinRequest } from '#keys/enrolment.ts';
import { readJoinRequest } from '#keys/join-request.ts';
import { parseKeyringPath } from '#keys/keyring-paths.ts';
import { type KeyringDocument, openKeyring } from '#keys/keyring.ts';
import { memorySealing, newTestCluster, newTestHost, payloadOf, secretsOf } from '../../src/keys/keyring.fixture.ts';
import { signText } from './sign-text.ts';
import { type Target, json } from './target.ts';

export async function keyringTargets(): Promise<Target[]> {
  const documents = await newTestCluster('a', 'b');
  const { clusterId, signers } = await secretsOf(documents, memorySealing('a'));
  const signer = signers.get(1)!;
  const types = ['members', 'epoch', 'slot', 'credential'] as const;
  const codes: readonly ErrorCode[] = ['damaged', 'forged', 'no-key', 'repository-foreign', 'version-incompatible'];
  const open = async (changed: KeyringDocument): Promise<string | undefined> => {
    const others = documents.filter(({ path }) => path !== changed.path);
    const { rejected } = await openKeyring([...others, changed], memorySealing('a'));
    return rejected[0]?.reason;
  };
  const joining = newTestHost('c');
  const keyring = await openKeyring(documents, memorySealing('a'));
  const { token, macKey } = newInvite(keyring, testRandomness);
  const cluster = { clusterId, keyGeneration: 1, clusterVerifyKey: keyring.verifyKey };
  const { request } = await newJoinRequest({ ...joining.ports, ...cluster, token }, { name: 'c', site: null });
  const joinRequest: Target = {
    name: 'join-request',
    seeds: [request],
    json: true,
    codes: ['damaged', 'version-incompatible'],
    // With the right MAC, which only who has the token can make.
    read: (input) => readJoinRequest(input, createHmac('sha256', macKey).update(input).digest(), macKey),
  };
  const ofDocuments = types.flatMap((type): Target[] => {
    const document = documents.findLast(({ path }) => parseKeyringPath(path)?.type === type)!;
    const payload = json(payloadOf(document));
    return [
      {
        name: type,
        seeds: [document.bytes],
        json: true,
        codes,
        read: (input) => open({ ...document, bytes: input }),
      },
      {
        name: `${type}-signed`,
        seeds: [payload],
        json: true,
        codes,
        read: (input) => open({ ...document, bytes: signText(clusterId, type, input, signer) }),
      },
    ];
  });
  return [...ofDocuments, joinRequest];
}
