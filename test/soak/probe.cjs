/** Preloaded into a node under soak (`node --expose-gc --require`): tells its parent, when asked, what the node holds. */
const v8 = require('node:v8');

const tidy = async () => {
  // What one round lets go of may hold what the next one finds.
  for (let round = 0; round < 4; round += 1) {
    globalThis.gc();
    await new Promise((resolve) => setImmediate(resolve));
  }
};

/**
 * Bytes of what the program holds, of all kinds in a heap snapshot but two: compiled code, and V8's own lists about it.
 * Those grow for as long as rare ways are taken for the first or the hundredth time, by a tenth of the heap in a quarter
 * of an hour, and are nobody's leak.
 */
const held = async () => {
  let text = '';
  for await (const piece of v8.getHeapSnapshot()) text += piece;
  const { snapshot, nodes } = JSON.parse(text);
  const { node_fields: fields, node_types: types } = snapshot.meta;
  const [kind, size] = [fields.indexOf('type'), fields.indexOf('self_size')];
  const kinds = types[kind];
  let bytes = 0;
  for (let node = 0; node < nodes.length; node += fields.length) {
    if (!['code', 'hidden'].includes(kinds[nodes[node + kind]])) bytes += nodes[node + size];
  }
  return bytes;
};

process.on('message', async () => {
  await tidy();
  const handles = {};
  for (const kind of process.getActiveResourcesInfo()) handles[kind] = (handles[kind] ?? 0) + 1;
  process.send({ heap: await held(), handles });
});
// Being asked is no reason to live on.
process.channel.unref();
