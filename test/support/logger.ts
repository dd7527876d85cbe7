/** A logger that keeps what it is told, for tests that look. */
import type { Logger } from '../../src/core/logger';

export interface Line {
  readonly level: 'debug' | 'info' | 'warn' | 'error';
  readonly data: object;
  readonly text: string;
}

export class KeptLog implements Logger {
  readonly lines: Line[] = [];

  debug(data: object, text: string): void {
    this.lines.push({ level: 'debug', data, text });
  }
  info(data: object, text: string): void {
    this.lines.push({ level: 'info', data, text });
  }
  warn(data: object, text: string): void {
    this.lines.push({ level: 'warn', data, text });
  }
  error(data: object, text: string): void {
    this.lines.push({ level: 'error', data, text });
  }
}
