/** The nodes' records of themselves: two keys in one slot, each record with its own end. */
import { listOf, textOf, type Context, type Reply } from './context';

export class Nodes {
  readonly #keys: readonly string[];

  constructor(readonly context: Context) {
    this.#keys = context.keys.nodes;
  }

  async beat(node: string, record: string, ttlMs: number): Promise<void> {
    await this.context.calls.script('beat', this.#keys, [node, record, ttlMs]);
  }

  async nodes(): Promise<string[]> {
    return listOf((await this.context.calls.script('nodes', this.#keys, [])) as Reply).map(textOf);
  }
}
