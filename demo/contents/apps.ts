import type { Insertable } from 'kysely';
import type { Tables } from '#store/tables.ts';
import type { Chance } from './chance.ts';
import { daysBefore } from './days.ts';

export interface Apps {
  readonly users: readonly Insertable<Tables['users']>[];
  readonly tokens: readonly Insertable<Tables['api_tokens']>[];
  readonly apps: readonly Insertable<Tables['apps']>[];
  readonly builds: readonly Insertable<Tables['builds']>[];
}

const posts = [
  ['manager', 'security-officer', 'platform-lead'],
  ['writer', 'payments-team', 'custody-team', 'health-team', 'fraud-team', 'ledger-team'],
  ['reader', 'auditor', 'service-desk', 'data-protection'],
] as const;

const appNames = [
  ['payments-gateway', 'Authorises card payments inside the enclave'],
  ['key-custody', 'Keeps customers’ signing keys'],
  ['patient-matching', 'Joins patient records of two hospitals without showing either'],
  ['fraud-scoring', 'Scores transactions with a model nobody may copy'],
  ['ledger-notary', 'Countersigns the daily ledger'],
  ['consent-registry', 'Records who consented to what'],
  ['model-inference', 'Serves a language model on confidential prompts'],
  ['tokenisation', 'Replaces card numbers by tokens'],
] as const;

/** Users by their post, their apps and the builds of those. */
export function makeApps(chance: Chance, now: Date): Apps {
  const users = makeUsers(chance, now);
  const writers = users.filter((user) => user.role === 'writer');
  const apps = appNames.map(([name, description]) =>
    makeApp(chance, now, { name, description, owner: chance.oneOf(writers) }),
  );
  const signer = chance.hex(32);
  return {
    users,
    tokens: users.flatMap((user) => makeTokens(chance, now, user.user_id)),
    apps,
    builds: apps.flatMap((app, index) =>
      makeBuilds(chance, now, { appId: app.app_id, name: app.name, signer, product: index + 1 }),
    ),
  };
}

function makeUsers(chance: Chance, now: Date): Insertable<Tables['users']>[] {
  const users: Insertable<Tables['users']>[] = [];
  for (const [role, ...names] of posts) {
    for (const name of names) {
      const created = daysBefore(now, chance.integer(300, 700));
      const first = users[0];
      users.push({
        user_id: chance.uuid(created),
        email: `${name}@example.org`,
        display_name: name.replaceAll('-', ' '),
        role,
        status: 'approved',
        password_hash: `$argon2id$v=19$m=19456,t=2,p=1$${base64(chance, 16)}$${base64(chance, 32)}`,
        created_at: created,
        approved_at: daysBefore(created, -1),
        approved_by: first === undefined ? null : first.user_id,
      });
    }
  }
  return users;
}

const base64 = (chance: Chance, length: number): string => chance.bytes(length).toString('base64').replaceAll('=', '');

function makeTokens(chance: Chance, now: Date, userId: string): Insertable<Tables['api_tokens']>[] {
  return ['ci', 'monitoring'].slice(0, chance.integer(1, 2)).map((name) => {
    const created = daysBefore(now, chance.integer(10, 200));
    return {
      token_id: chance.uuid(created),
      user_id: userId,
      name,
      token_hash: chance.bytes(32),
      created_at: created,
      expires_at: daysBefore(created, -365),
    };
  });
}

function makeApp(
  chance: Chance,
  now: Date,
  { name, description, owner }: { name: string; description: string; owner: Insertable<Tables['users']> },
): Insertable<Tables['apps']> {
  const created = daysBefore(now, chance.integer(200, 300));
  return {
    app_id: chance.uuid(created),
    name,
    description,
    domains: JSON.stringify([`${name}.example.org`, `${name}.internal.example.org`]),
    labels: JSON.stringify({ stage: chance.oneOf(['production', 'staging']), team: owner.display_name }),
    owner_id: owner.user_id,
    created_at: created,
  };
}

function makeBuilds(
  chance: Chance,
  now: Date,
  app: { appId: string; name: string; signer: string; product: number },
): Insertable<Tables['builds']>[] {
  const count = chance.integer(3, 6);
  return Array.from({ length: count }, (_, index) => {
    const created = daysBefore(now, (count - index) * 30 + chance.integer(0, 20));
    const newest = index === count - 1;
    return {
      build_id: chance.uuid(created),
      app_id: app.appId,
      version: `1.${index}.${chance.integer(0, 9)}`,
      image: `registry.example.org/${app.name}@sha256:${chance.hex(32)}`,
      mrenclave: chance.hex(32),
      mrsigner: app.signer,
      isvprodid: app.product,
      isvsvn: index + 1,
      status: newest ? 'PENDING' : chance.oneOf(['WHITELISTED', 'WHITELISTED', 'WHITELISTED', 'REJECTED']),
      created_at: created,
    };
  });
}
