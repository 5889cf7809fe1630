import type { Insertable } from 'kysely';
import type { CaKey } from '#store/ca-keys.ts';
import type { Tables } from '#store/tables.ts';
import type { Apps } from './apps.ts';
import type { Chance } from './chance.ts';
import { daysBefore } from './days.ts';
import { ed25519Key, issueCertificate, type Identity } from './x509.ts';

export interface Certificates {
  readonly caKeys: readonly CaKey[];
  readonly certificates: readonly Insertable<Tables['certificates']>[];
}

interface Authority extends Identity {
  readonly row: CaKey;
}

/** One certificate authority for each zone, and a year of certificates for the builds that may run. */
export function makeCertificates(chance: Chance, now: Date, apps: Apps): Certificates {
  const authorities = ['default', 'partners'].map((zone) => makeAuthority(chance, daysBefore(now, 365), zone));
  const certificates = apps.builds
    .filter((build) => build.status === 'WHITELISTED')
    .flatMap((build) => {
      const { name } = apps.apps.find((app) => app.app_id === build.app_id)!;
      const authority = chance.oneOf(authorities);
      return Array.from({ length: 4 }, (_, index) =>
        makeCertificate(chance, authority, {
          name,
          build,
          issued: daysBefore(now, (4 - index) * 20 - chance.integer(0, 5)),
          status: index === 0 && chance.integer(0, 4) === 0 ? 'revoked' : 'issued',
        }),
      );
    });
  return { caKeys: authorities.map(({ row }) => row), certificates };
}

function makeAuthority(chance: Chance, created: Date, zone: string): Authority {
  const identity = { commonName: `Enclave Manager CA, zone ${zone}`, privateKey: ed25519Key(chance.bytes(32)) };
  const certificate = issueCertificate(identity, identity, {
    serialNumber: serialNumber(chance),
    notBefore: created,
    notAfter: daysBefore(created, -3650),
    kind: 'authority',
  });
  const row = {
    caKeyId: chance.uuid(created),
    zone,
    algorithm: 'ed25519',
    certificate,
    privateKey: identity.privateKey.export({ format: 'der', type: 'pkcs8' }),
    createdAt: created,
  };
  return { ...identity, row };
}

interface Application {
  readonly name: string;
  readonly build: Insertable<Tables['builds']>;
  readonly issued: Date;
  readonly status: 'issued' | 'revoked';
}

function makeCertificate(
  chance: Chance,
  authority: Authority,
  { name, build, issued, status }: Application,
): Insertable<Tables['certificates']> {
  const serial = serialNumber(chance);
  const subject = `${name}.example.org`;
  const notAfter = daysBefore(issued, -30);
  const application = { commonName: subject, privateKey: ed25519Key(chance.bytes(32)) };
  return {
    certificate_id: chance.uuid(issued),
    ca_key_id: authority.row.caKeyId,
    app_id: build.app_id,
    build_id: build.build_id,
    subject,
    serial_number: serial.toString('hex'),
    status,
    certificate: issueCertificate(authority, application, {
      serialNumber: serial,
      notBefore: issued,
      notAfter,
      kind: 'application',
    }),
    not_before: issued,
    not_after: notAfter,
    created_at: issued,
  };
}

/** 16 bytes that neither begin with a zero nor are negative. */
function serialNumber(chance: Chance): Buffer {
  const serial = chance.bytes(16);
  serial[0] = 0x40 | (serial[0]! & 0x3f);
  return serial;
}
