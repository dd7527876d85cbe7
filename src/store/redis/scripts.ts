/** The Lua scripts, put together from lua/*.lua: each operation is one of them, so nobody sees it half done. */
import { readFileSync } from 'node:fs';
import path from 'node:path';

interface ScriptParts {
  readonly files: readonly string[];
  /** Undefined: as many as are given. */
  readonly keys: number | undefined;
  /**
   * With any first line `#!lua` a Redis that is full or cannot save refuses the script whole, before it did anything.
   * `no-writes`: nothing to refuse. `allow-oom`: leaving, renewing and removing give memory back, and must go on.
   */
  readonly flags: '' | 'no-writes' | 'allow-oom';
}

const inRoom = (file: string, flags: ScriptParts['flags'] = ''): ScriptParts => ({
  files: ['clock', 'room', file],
  keys: 8,
  flags,
});

const catalogue = {
  append: { files: ['clock', 'append'], keys: undefined, flags: '' },
  read: { files: ['clock', 'read'], keys: 2, flags: 'no-writes' },
  ends: { files: ['ends'], keys: undefined, flags: 'no-writes' },
  history: { files: ['clock', 'history'], keys: 1, flags: 'no-writes' },
  join: inRoom('join'),
  leave: inRoom('leave', 'allow-oom'),
  sweep: inRoom('sweep', 'allow-oom'),
  view: inRoom('view', 'allow-oom'),
  renewNode: inRoom('renew-node', 'allow-oom'),
  renewWeb: inRoom('renew-web', 'allow-oom'),
  addRoom: inRoom('add-room'),
  emptyRoom: inRoom('empty-room', 'allow-oom'),
  removeRoom: inRoom('remove-room', 'allow-oom'),
  writeClient: { files: ['clock', 'write-client'], keys: 2, flags: '' },
  renewClient: { files: ['renew-client'], keys: 2, flags: 'allow-oom' },
  deliver: { files: ['deliver'], keys: 2, flags: 'allow-oom' },
  removeClient: { files: ['remove-client'], keys: 2, flags: 'allow-oom' },
  secret: { files: ['clock', 'secret'], keys: 1, flags: '' },
  tally: { files: ['clock', 'tally'], keys: 1, flags: '' },
  beat: { files: ['clock', 'beat'], keys: 2, flags: 'allow-oom' },
  nodes: { files: ['clock', 'nodes'], keys: 2, flags: 'no-writes' },
  probe: { files: ['probe'], keys: 1, flags: '' },
} as const satisfies Readonly<Record<string, ScriptParts>>;

export type ScriptName = keyof typeof catalogue;

export interface Script {
  readonly name: ScriptName;
  readonly numberOfKeys: number | undefined;
  readonly lua: string;
}

export const scripts: readonly Script[] = Object.entries(catalogue).map(([name, { files, keys, flags }]) => ({
  name: name as ScriptName,
  numberOfKeys: keys,
  lua: [flags === '' ? '#!lua' : `#!lua flags=${flags}`, ...files.map(read)].join('\n'),
}));

function read(file: string): string {
  return readFileSync(path.join(__dirname, 'lua', `${file}.lua`), 'utf8');
}
