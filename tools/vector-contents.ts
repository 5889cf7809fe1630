import type { TableColumn } from '#ports/database.ts';

/** A table of the vector repository; rows are COPY text with their newlines. */
export interface VectorTable {
  readonly name: string;
  readonly columns: readonly TableColumn[];
  readonly rows: readonly string[];
}

const id = (number: number): string => `01930000-0000-7000-8000-${String(number).padStart(12, '0')}`;

/** Every kind of COPY text that a reader must cope with: nulls, escapes, bytes, any script, an empty table. */
const nodes: VectorTable = {
  name: 'nodes',
  columns: [
    { name: 'id', type: 'uuid' },
    { name: 'name', type: 'text' },
    { name: 'evidence', type: 'bytea' },
    { name: 'labels', type: 'jsonb' },
  ],
  rows: [
    `${id(1)}\ttokyo-1\t\\\\x00ff10\t{"site": "東京"}\n`,
    `${id(2)}\tline\\nfeed, tab\\t, backslash\\\\, return\\r\t\\N\t{}\n`,
    `${id(3)}\t\t\\\\x\t{"quote": "\\\\""}\n`,
  ],
};

const settings: VectorTable = {
  name: 'settings',
  columns: [
    { name: 'name', type: 'text' },
    { name: 'value', type: 'jsonb' },
  ],
  rows: [],
};

function auditEvents(count: number): VectorTable {
  return {
    name: 'audit_events',
    columns: [
      { name: 'position', type: 'int8' },
      { name: 'at', type: 'timestamptz' },
      { name: 'message', type: 'text' },
    ],
    rows: Array.from({ length: count }, (_, index) => {
      const second = String(index % 60).padStart(2, '0');
      return `${index + 1}\t2026-11-22 00:00:${second}+00\tnode ${id(index % 3)} reported status RUNNING\n`;
    }),
  };
}

export const contentsOf = (events: number): readonly VectorTable[] => [auditEvents(events), nodes, settings];
