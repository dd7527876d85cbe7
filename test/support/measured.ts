/** Figures that a test prints for people and does not judge, or only generously. */

export function note(text: string): void {
  process.stderr.write(`measured: ${text}\n`);
}
