/** What the store makes of conditions and of uploads that changed on their way. */
import { createHash } from 'node:crypto';
import { PutObjectCommand, type PutObjectCommandInput } from '@aws-sdk/client-s3';
import type { StoreFinding } from '#ports/store-examiner.ts';
import { type Answered, type Asking, refusalText } from './asking.ts';
import { hasHeaders } from './content-md5.ts';

const writers = 8;
const body = Buffer.from('a probe of the store');
const others = Buffer.from('what it is not');

export async function* probeConditions(asking: Asking, place: string): AsyncGenerator<StoreFinding> {
  const conditional = () => put(asking, `${place}condition`, { IfNoneMatch: '*' });
  const first = await conditional();
  const second = await conditional();
  const honoured = 'reply' in first && 'refusal' in second && second.refusal.status === 412;
  yield {
    topic: 'conditional put',
    grade: honoured ? 'good' : 'notice',
    found: honoured ? 'a second one is refused (412)' : `first: ${outcome(first)}; second: ${outcome(second)}`,
    means: honoured
      ? 'the store itself keeps objects from being overwritten'
      : 'the store does not keep objects from being overwritten: every put looks first, which costs a request',
  };
  if (!honoured) return;
  const race = await Promise.all(
    Array.from({ length: writers }, () => put(asking, `${place}condition-race`, { IfNoneMatch: '*' })),
  );
  const stored = race.filter((answer) => 'reply' in answer).length;
  yield {
    topic: 'conditional race',
    grade: stored === 1 ? 'good' : 'notice',
    found: `of ${writers} conditional puts at once ${stored} succeeded`,
    means:
      stored === 1
        ? 'conditions hold under load too'
        : 'conditions do not hold under load: leases must keep hosts apart',
  };
}

export async function* probeUploadChecks(asking: Asking, place: string): AsyncGenerator<StoreFinding> {
  const key = `${place}changed`;
  yield uploadCheck(
    'signed bytes',
    await put(asking, key, {}, { 'x-amz-content-sha256': hash('sha256', others, 'hex') }),
  );
  yield uploadCheck('Content-MD5', await put(asking, key, { ContentMD5: hash('md5', others, 'base64') }));
  yield uploadCheck('SHA-256 header', await put(asking, key, { ChecksumSHA256: hash('sha256', others, 'base64') }));
}

function uploadCheck(topic: string, answer: Answered<unknown>): StoreFinding {
  const status = 'refusal' in answer ? (answer.refusal.status ?? 0) : 200;
  if ('refusal' in answer && (status < 400 || status >= 500)) {
    const found = `no answer to the question (${refusalText(answer.refusal)})`;
    return { topic, grade: 'notice', found, means: 'whether changed bytes would be stored is not known' };
  }
  const refused = 'refusal' in answer;
  return {
    topic,
    grade: refused ? 'good' : 'notice',
    found: refused
      ? `an upload that does not fit is refused (${refusalText(answer.refusal)})`
      : 'an upload that does not fit is stored',
    means: refused
      ? 'bytes that changed on their way up are not stored'
      : 'the store does not check this; new chunks are read back before a backup is listed, which finds it',
  };
}

const hash = (name: string, bytes: Buffer, encoding: 'hex' | 'base64'): string =>
  createHash(name).update(bytes).digest(encoding);

const outcome = (answer: Answered<unknown>): string => ('reply' in answer ? 'stored' : refusalText(answer.refusal));

async function put(
  asking: Asking,
  place: string,
  more: Partial<PutObjectCommandInput>,
  headers: Readonly<Record<string, string>> = {},
): Promise<Answered<unknown>> {
  return await asking.askOnce(async (client) => {
    const command = new PutObjectCommand({ Bucket: asking.bucket, Key: asking.keyOf(place), Body: body, ...more });
    command.middlewareStack.add(
      (next) => async (parameters) => {
        const { request } = parameters;
        if (hasHeaders(request)) Object.assign(request.headers, headers);
        return await next(parameters);
      },
      { step: 'build', priority: 'low', name: 'probeHeaders' },
    );
    return await client.send(command);
  });
}
