/** The text of a block as what there is to do and to see, step by step. */

export interface Step {
  readonly terminal: string;
  readonly sign: string;
  readonly text: string;
  readonly output: readonly string[];
}

export function stepsIn(lines: readonly string[]): Step[] {
  const steps: (Step & { output: string[] })[] = [];
  let open = false;
  for (const line of lines) {
    const last = steps.at(-1);
    const found = /^(\d*)([$>:])(?: (.*))?$/.exec(line);
    if (last && open) Object.assign(last, { text: `${last.text}\n${line}` });
    else if (found && (found[1] !== '' || found[2] === '$')) {
      steps.push({ terminal: found[1] ?? '', sign: found[2] ?? '', text: found[3] ?? '', output: [] });
    } else if (last && last.terminal !== '' && line.startsWith('  '))
      Object.assign(last, { text: last.text + line.trim() });
    else if (last) last.output.push(line);
    else throw new Error(`a console block begins with a command: ${line}`);
    open = line.endsWith('\\');
  }
  return steps;
}

/** A command goes on in the next line after a backslash. */
export function commandsIn(lines: readonly string[]): string[] {
  const text = lines.join('\n').replaceAll('\\\n', ' ');
  return text.split('\n').filter((line) => line.trim() !== '' && !line.startsWith('#'));
}

/** A long line of an answer may go on in the next one, indented; an empty line is an empty line. */
export function joined(lines: readonly string[]): string[] {
  const whole: string[] = [];
  for (const line of lines) {
    const last = whole.at(-1);
    if (last !== undefined && /^ {2,}\S/.test(line) && /[,{[]$/.test(last))
      whole[whole.length - 1] = last + line.trim();
    else whole.push(line);
  }
  return whole;
}
