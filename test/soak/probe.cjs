/** Preloaded into a node under soak (`node --expose-gc --require`): tells its parent, when asked, what the node holds. */
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
  process.send({ heap: process.memoryUsage().heapUsed, handles });
});
// Being asked is no reason to live on.
process.channel.unref();
