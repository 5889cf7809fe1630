import fc from 'fast-check';

/** How one input of the corpus is changed; a list of these is what fast-check shrinks. */
export type Mutation =
  | { readonly kind: 'bytes'; readonly at: number; readonly remove: number; readonly insert: Uint8Array }
  | { readonly kind: 'flip'; readonly at: number; readonly bit: number }
  | { readonly kind: 'repeat'; readonly at: number; readonly length: number; readonly times: number }
  | { readonly kind: 'cut'; readonly at: number }
  | { readonly kind: 'value'; readonly path: number; readonly value: string }
  | { readonly kind: 'delete'; readonly path: number }
  | { readonly kind: 'copy'; readonly path: number; readonly from: number }
  | { readonly kind: 'member'; readonly path: number; readonly name: string; readonly value: string };

/** Values where readers tend to go wrong, as JSON text. */
const values = [
  'null',
  'true',
  '0',
  '-1',
  '-0',
  '1.5',
  '1e400',
  '4294967296',
  '9007199254740993',
  '""',
  '"\\u0000"',
  '"\\ud800"',
  '"../../etc/passwd"',
  '"__proto__"',
  `"${'A'.repeat(5000)}"`,
  '"2026-13-45T99:99:99.999Z"',
  '"00000000-0000-0000-0000-000000000000"',
  '"AAAA"',
  '[]',
  '{}',
  '[[[[[[]]]]]]',
  '{"__proto__":1,"constructor":{}}',
];
const tokens = [
  '"',
  '\\',
  '{',
  '}',
  '[',
  ']',
  ',',
  '\0',
  '\n',
  '\t',
  'ÿ',
  '\u{1f600}',
  '0x',
  '%',
  "'",
  '../',
  '*/1',
  '-',
  '$',
  '//',
];

const place = fc.nat({ max: 1_000_000 });
const inserted = fc.oneof(
  fc.uint8Array({ maxLength: 8 }),
  fc.constantFrom(...tokens).map((token) => new Uint8Array(Buffer.from(token))),
);

const byteMutation: fc.Arbitrary<Mutation> = fc.oneof(
  fc.record({ kind: fc.constant('bytes' as const), at: place, remove: fc.nat({ max: 16 }), insert: inserted }),
  fc.record({ kind: fc.constant('flip' as const), at: place, bit: fc.nat({ max: 7 }) }),
  fc.record({
    kind: fc.constant('repeat' as const),
    at: place,
    length: fc.nat({ max: 64 }),
    times: fc.nat({ max: 64 }),
  }),
  fc.record({ kind: fc.constant('cut' as const), at: place }),
);
const replacement = fc.oneof({ weight: 3, arbitrary: fc.constantFrom(...values) }, { weight: 1, arbitrary: fc.json() });
const structureMutation: fc.Arbitrary<Mutation> = fc.oneof(
  fc.record({ kind: fc.constant('value' as const), path: place, value: replacement }),
  fc.record({ kind: fc.constant('delete' as const), path: place }),
  fc.record({ kind: fc.constant('copy' as const), path: place, from: place }),
  fc.record({
    kind: fc.constant('member' as const),
    path: place,
    name: fc.constantFrom('__proto__', 'x', ''),
    value: replacement,
  }),
);

/** Up to four changes; those of the structure for inputs that are JSON. */
export const mutations = (isJson: boolean): fc.Arbitrary<readonly Mutation[]> =>
  fc.array(
    isJson
      ? fc.oneof({ weight: 3, arbitrary: structureMutation }, { weight: 1, arbitrary: byteMutation })
      : byteMutation,
    {
      maxLength: 4,
    },
  );

/** Positions are taken modulo what there is, so every mutation does something to every input. */
export function mutate(input: Buffer, changes: readonly Mutation[]): Buffer {
  return changes.reduce(applyOne, input);
}

function applyOne(input: Buffer, change: Mutation): Buffer {
  switch (change.kind) {
    case 'bytes': {
      const at = change.at % (input.length + 1);
      return Buffer.concat([input.subarray(0, at), change.insert, input.subarray(at + change.remove)]);
    }
    case 'flip': {
      if (input.length === 0) return input;
      const copy = Buffer.from(input);
      copy[change.at % input.length]! ^= 1 << change.bit;
      return copy;
    }
    case 'repeat': {
      const at = change.at % (input.length + 1);
      const piece = input.subarray(at, at + change.length);
      const repeated: Buffer[] = Array.from({ length: change.times }, () => piece);
      return Buffer.concat([input.subarray(0, at), ...repeated, input.subarray(at)]);
    }
    case 'cut':
      return input.subarray(0, change.at % (input.length + 1));
    case 'value':
    case 'delete':
    case 'copy':
    case 'member':
      return changeStructure(input, change);
  }
}

type Container = Record<string, unknown>;
type StructureMutation = Extract<Mutation, { readonly path: number }>;

function changeStructure(input: Buffer, change: StructureMutation): Buffer {
  let root: Container;
  try {
    // A member of its own, so that the root can be replaced too.
    root = { root: JSON.parse(input.toString()) as unknown };
  } catch {
    return input;
  }
  const places = placesIn(root);
  const [container, key] = places[change.path % places.length]!;
  switch (change.kind) {
    case 'value':
      container[key] = raw(change.value);
      break;
    case 'delete':
      if (Array.isArray(container)) container.splice(Number(key), 1);
      else delete container[key];
      break;
    case 'copy': {
      const [source, from] = places[change.from % places.length]!;
      container[key] = structuredClone(source[from]);
      break;
    }
    case 'member': {
      const inner = container[key];
      if (Array.isArray(inner)) inner.push(raw(change.value));
      else if (typeof inner === 'object' && inner !== null)
        Object.defineProperty(inner, change.name, { value: raw(change.value), enumerable: true, configurable: true });
      break;
    }
  }
  return Buffer.from(spell(root['root']));
}

/** Stands in for JSON text that no value spells, such as 1e400. */
const rawMark = '\u0001raw:';
const raw = (text: string): unknown => `${rawMark}${text}`;

function spell(value: unknown): string {
  const text = JSON.stringify(value) ?? '';
  return text.replaceAll(/"\\u0001raw:((?:[^"\\]|\\.)*)"/g, (_, inner: string) => JSON.parse(`"${inner}"`) as string);
}

/** Every place of a value, outer ones first. */
function placesIn(root: Container): [Container, string][] {
  const found: [Container, string][] = [];
  const open: Container[] = [root];
  for (const container of open) {
    for (const key of Object.keys(container)) {
      found.push([container, key]);
      const inner = container[key];
      if (typeof inner === 'object' && inner !== null) open.push(inner as Container);
    }
  }
  return found;
}
