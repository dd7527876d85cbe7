/** The least that saying something in Redis is: its number, the log, and word to whoever follows; pipelined by turns. */
const { Redis } = require('ioredis');

const lua = `
  local seq = redis.call('HINCRBY', KEYS[1] .. ':seq', 'seq', 1)
  local id = ARGV[2] .. '-' .. seq
  redis.call('XADD', KEYS[1], 'MAXLEN', '~', 10000, '*', 'json', ARGV[1])
  redis.call('PUBLISH', KEYS[1], ARGV[1])
  return id`;

/** Resolves when Redis knows the script. */
exports.appendTo = async function appendTo(url) {
  const redis = new Redis(url, { enableAutoPipelining: true });
  redis.defineCommand('append', { numberOfKeys: 1, lua });
  await redis.append('log:{}', '{}', 0);
  return redis;
};
exports.logOf = (room) => `log:{${room}}`;
