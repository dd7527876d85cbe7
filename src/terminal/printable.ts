/** What others say, on a terminal: as text, and never as a command to the terminal. */

/** Control characters, and those that turn the direction of what follows them. Tabs and line ends are harmless. */
// eslint-disable-next-line no-control-regex -- they are what it is about
const unsafe = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]/g;

const escaped = (character: string): string => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`;

export function printable(text: string): string {
  return text.replace(unsafe, escaped);
}

/** One line of JSON. JSON leaves some control characters as they are; escaped, they mean the same to who parses it. */
export function jsonLine(value: unknown): string {
  return `${printable(JSON.stringify(value))}\n`;
}
