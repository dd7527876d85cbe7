/** What the core asks of a logger: data first, for machines, then a sentence for people. */
export interface Logger {
  debug(data: object, text: string): void;
  info(data: object, text: string): void;
  warn(data: object, text: string): void;
  error(data: object, text: string): void;
}
