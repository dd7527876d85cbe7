/** The table of docs/settings.md, as the settings themselves have it. */
import { commandDefaults, settings } from '../../src/config';

/** A row per setting: its path, its default, its name in the environment, and why it is so. */
export function settingsTable(): string[][] {
  return [...settings.values()].map(({ path, fallback, env, description }) => {
    const ofCommand = at(commandDefaults, path);
    const command = ofCommand === undefined ? '' : `; the command: \`${JSON.stringify(ofCommand)}\``;
    return [`\`${path}\``, `\`${JSON.stringify(fallback)}\`${command}`, `\`${env}\``, description];
  });
}

function at(tree: object, path: string): unknown {
  return path.split('.').reduce<unknown>((value, key) => (value as Record<string, unknown> | undefined)?.[key], tree);
}

/** The same as lines of Markdown. */
export function settingsMarkdown(): string[] {
  const head = ['setting', 'default', 'environment', 'what it is for'];
  const rows = [head, head.map(() => '---'), ...settingsTable()];
  return rows.map((cells) => `| ${cells.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |`);
}
