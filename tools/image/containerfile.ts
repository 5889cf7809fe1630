/** What the last stage of a Containerfile says about running the image, in the words of an OCI image's `config`. */
export interface RunSettings {
  readonly User: string;
  readonly ExposedPorts: Readonly<Record<string, object>>;
  readonly Env: readonly string[];
  readonly Entrypoint: readonly string[];
  readonly Cmd: readonly string[];
  readonly WorkingDir: string;
  readonly Labels: Readonly<Record<string, string>>;
  readonly StopSignal: string;
}

export interface Instruction {
  readonly name: string;
  readonly value: string;
}

/** How the files come to be, which is not read from here. */
const building = new Set(['ARG', 'FROM', 'RUN', 'COPY']);

/** Comments are dropped, continued lines joined. */
export function readInstructions(text: string): Instruction[] {
  const lines = text
    .replaceAll(/^\s*#.*\n/gm, '')
    .replaceAll(/\\\n\s*/g, '')
    .split('\n');
  return lines
    .filter((line) => line.trim() !== '')
    .map((line) => {
      const [, name, value] = /^([A-Z]+) +(.+)$/.exec(line) ?? [];
      if (name === undefined || value === undefined) throw new Error(`not an instruction: ${line}`);
      return { name, value };
    });
}

/**
 * The settings of the last stage. So the image that is built without a container engine has exactly those that engines
 * give it. Throws for an instruction it does not know, rather than leave it out.
 */
export function readRunSettings(text: string): RunSettings {
  const instructions = readInstructions(text);
  const stage = instructions.slice(instructions.findLastIndex(({ name }) => name === 'FROM'));
  const values = new Map<string, string[]>();
  for (const { name, value } of stage) values.set(name, [...(values.get(name) ?? []), value]);
  const known = new Set([...building, 'LABEL', 'ENV', 'WORKDIR', 'USER', 'EXPOSE', 'STOPSIGNAL', 'ENTRYPOINT', 'CMD']);
  for (const name of values.keys()) if (!known.has(name)) throw new Error(`${name} is not known here`);
  const one = (name: string): string => {
    const found = values.get(name) ?? [];
    if (found.length !== 1) throw new Error(`${name} is there ${found.length} times, not once`);
    return found[0]!;
  };
  return {
    User: one('USER'),
    ExposedPorts: { [`${one('EXPOSE')}/tcp`]: {} },
    Env: (values.get('ENV') ?? []).map((value) => pair(value).join('=')),
    Entrypoint: words(one('ENTRYPOINT')),
    Cmd: words(one('CMD')),
    WorkingDir: one('WORKDIR'),
    Labels: Object.fromEntries((values.get('LABEL') ?? []).map(pair)),
    StopSignal: one('STOPSIGNAL'),
  };
}

function pair(value: string): [string, string] {
  const [, name, quoted, plain] = /^([\w.]+)=(?:"([^"\\$]*)"|([^\s"\\$]+))$/.exec(value) ?? [];
  const text = quoted ?? plain;
  if (name === undefined || text === undefined) throw new Error(`not one NAME=value: ${value}`);
  return [name, text];
}

const words = (value: string): string[] => {
  const parsed: unknown = JSON.parse(value);
  if (Array.isArray(parsed) && parsed.every((word) => typeof word === 'string')) return parsed;
  throw new Error(`not a list of words: ${value}`);
};
