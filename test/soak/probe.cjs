/** Preloaded into a node under soak (`node --expose-gc --require`): tells its parent, when asked, what the node holds. */
const v8 = require('node:v8');

/** Compiled code, which grows for as long as rare ways are taken for the first or the hundredth time: nobody's leak. */
const codeBytes = () => {
  const { code_and_metadata_size: machine, bytecode_and_metadata_size: bytecode } = v8.getHeapCodeStatistics();
  return machine + bytecode;
};

const tidy = async () => {
  // What one round lets go of may hold what the next one finds.
  for (let round = 0; round < 4; round += 1) {
    globalThis.gc();
    await new Promise((resolve) => setImmediate(resolve));
  }
};

process.on('message', async () => {
  await tidy();
  const handles = {};
  for (const kind of process.getActiveResourcesInfo()) handles[kind] = (handles[kind] ?? 0) + 1;
  const code = codeBytes();
  process.send({ heap: process.memoryUsage().heapUsed - code, code, handles });
});
// Being asked is no reason to live on.
process.channel.unref();
