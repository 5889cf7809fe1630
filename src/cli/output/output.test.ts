import { PassThrough, Writable } from 'node:stream';
import { describe, expect, it } from 'vitest';
import { EnclaveManagerError } from '#errors/enclave-manager-error.ts';
import type { Clock } from '#ports/clock.ts';
import { Output } from './output.ts';
import { ProgressPhases } from './progress-phases.ts';
import { ProgressBar, ProgressLines, ProgressNotes } from './progress.ts';
import { plainStyle } from './style.ts';
import { formatFields, formatTable } from './table.ts';
import { counted, formatCount, formatDuration, formatSize, formatTime } from './units.ts';

describe('Output', () => {
  const clock: Clock = { now: () => new Date(0), monotonicMs: () => 0, sleep: async () => {} };
  const failure = new EnclaveManagerError('no-key', 'no key on this host opens any of it', {
    hint: 'Use another host:\n  enclave-manager restore run latest --cluster-key sha256:0',
  });

  /** What is told, with and without a terminal of 30 columns. */
  function told(facts: { readonly isTTY?: boolean; readonly columns?: number }): { stdout: string; stderr: string } {
    const printed = { stdout: '', stderr: '' };
    const stream = (name: 'stdout' | 'stderr') =>
      Object.assign(
        new Writable({
          write: (bytes: Buffer, _, done) => {
            printed[name] += bytes.toString();
            done();
          },
        }),
        facts,
      );
    const streams = { stdin: new PassThrough(), stdout: stream('stdout'), stderr: stream('stderr') };
    const spelling = { program: './em', here: './em' };
    const output = new Output(
      streams,
      { json: false, quiet: false, phases: false, yes: false, colour: false, spelling },
      clock,
    );
    output.note('a note that is a little longer than thirty columns');
    output.progress.note('and another that is longer than that');
    output.warn('something is not as it should be');
    output.failure(failure);
    output.text('Label  a value that does not fit\n');
    return printed;
  }

  it('breaks what it tells between words where a terminal would break it anywhere', () => {
    expect(told({ isTTY: true, columns: 30 })).toEqual({
      stderr: `a note that is a little longer
than thirty columns
and another that is longer
than that
Warning: something is not as
it should be
Error: no key on this host
opens any of it
Use another host:
  ./em restore run latest --cluster-key sha256:0
`,
      stdout: 'Label  a value that does not\n       fit\n',
    });
  });

  it('leaves lines whole for a file', () => {
    const { stdout, stderr } = told({});
    expect(stdout).toBe('Label  a value that does not fit\n');
    expect(stderr).toContain(
      'a note that is a little longer than thirty columns\nand another that is longer than that\n',
    );
  });
});

describe('units', () => {
  it.each([
    [0, '0 B'],
    [1023, '1023 B'],
    [1024, '1.0 KiB'],
    [10 * 1024, '10 KiB'],
    [1023 * 1024, '1.0 MiB'],
    [1.5 * 1024 ** 3, '1.5 GiB'],
    [2000 * 1024 ** 5, '2000 PiB'],
  ])('writes %i bytes as %s', (bytes, text) => {
    expect(formatSize(bytes)).toBe(text);
  });

  it.each([
    [0, '0 ms'],
    [999, '999 ms'],
    [59_949, '59.9 s'],
    [59_950, '1 min'],
    [185_000, '3 min 5 s'],
    [7_800_000, '2 h 10 min'],
    [270_000_000, '3 d 3 h'],
  ])('writes %i ms as %s', (durationMs, text) => {
    expect(formatDuration(durationMs)).toBe(text);
  });

  it('counts in the right number', () => {
    expect([counted(1, 'row'), counted(0, 'row'), formatCount(1_234_567)]).toEqual(['1 row', '0 rows', '1,234,567']);
  });

  it('writes times in UTC', () => {
    expect(formatTime('2026-11-22T01:02:03.456+09:00')).toBe('2026-11-21 16:02:03 UTC');
  });
});

describe('formatTable', () => {
  it('aligns columns, also of wide characters, and makes cells printable', () => {
    const columns = [
      { title: 'NAME', cell: ({ name }: { name: string }) => name },
      { title: 'ROWS', align: 'right' as const, cell: ({ rows }: { rows: number }) => String(rows) },
    ];
    const rows = [
      { name: '東京', rows: 5 },
      { name: 'a\u001b[31m', rows: 1234 },
    ];
    expect(formatTable(columns, rows, plainStyle)).toBe('NAME    ROWS\n東京       5\na?[31m  1234\n');
  });

  it('aligns labels', () => {
    expect(
      formatFields([
        ['A', '1'],
        ['Long', '2'],
      ]),
    ).toBe('A     1\nLong  2\n');
  });
});

function progressWith<P>(make: (write: (text: string) => void, clock: Clock) => P) {
  const written: string[] = [];
  const time = { ms: 0 };
  const clock: Clock = { now: () => new Date(0), monotonicMs: () => time.ms, sleep: async () => {} };
  return { progress: make((text) => written.push(text), clock), written, time };
}

describe('ProgressBar', () => {
  it('shows how far it is, how fast, and how long it should take', () => {
    const { progress, written, time } = progressWith((write, clock) => new ProgressBar(write, clock, () => 120));
    progress.phase('reading rows', 10 * 1024 ** 2);
    time.ms = 2000;
    progress.advance(4 * 1024 ** 2);
    expect(written.at(-1)).toBe(
      '\r\u001b[Kreading rows  [########............]   40 %  4.0 MiB of 10 MiB  2.0 MiB/s  3.0 s left',
    );
    progress.end();
    expect(written.at(-1)).toBe('\r\u001b[K');
  });

  it('draws at most ten times a second and never past the edge', () => {
    const { progress, written, time } = progressWith((write, clock) => new ProgressBar(write, clock, () => 20));
    progress.phase('reading rows', 1000);
    for (let i = 0; i < 1000; i++) {
      time.ms += 1;
      progress.advance(1);
    }
    expect(written.length).toBeLessThanOrEqual(12);
    expect(Math.max(...written.map((text) => text.length))).toBeLessThanOrEqual(4 + 19);
  });
});

describe('ProgressLines', () => {
  it('says nothing of a short phase and something every ten seconds of a long one', () => {
    const { progress, written, time } = progressWith((write, clock) => new ProgressLines(write, clock));
    progress.phase('reading rows', 2000);
    progress.advance(500);
    expect(written).toEqual([]);
    time.ms = 10_000;
    progress.advance(500);
    expect(written).toEqual(['reading rows: 50 %, 1000 B of 2.0 KiB, 100 B/s, 10.0 s left\n']);
  });
});

describe('ProgressPhases', () => {
  it('says in JSON when each phase begins and ends, how long it took and how many bytes it moved', () => {
    const { progress, written, time } = progressWith((write, clock) => new ProgressPhases(write, clock));
    progress.phase('reading rows');
    progress.advance(500);
    progress.advance(12);
    progress.note('warning: "a"\n');
    time.ms = 1500;
    progress.phase('counting rows');
    time.ms = 1600;
    progress.end();
    progress.end();
    expect(written.map((line): unknown => JSON.parse(line))).toEqual([
      { phase: 'reading rows', event: 'begin' },
      { note: 'warning: "a"\n' },
      { phase: 'reading rows', event: 'end', durationMs: 1500, bytes: 512 },
      { phase: 'counting rows', event: 'begin' },
      { phase: 'counting rows', event: 'end', durationMs: 100, bytes: 0 },
    ]);
    expect(written.every((line) => line.indexOf('\n') === line.length - 1)).toBe(true);
  });
});

describe('ProgressNotes', () => {
  it('writes beside a document only what a person should read', () => {
    const { progress, written } = progressWith((write) => new ProgressNotes(write));
    progress.phase();
    progress.advance();
    progress.note('warning: a\u001b[2J line');
    progress.end();
    expect(written).toEqual(['warning: a?[2J line\n']);
  });
});
