-- What nodes have taken from token buckets that they share; each is a time, at which all of it will have flowed back.
-- KEYS rates: who -> that time, ms
-- ARGV perSecond, then who, how many, …
-- Answers the ms until then, in the order asked.
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now)
local left = {}
for index = 2, #ARGV, 2 do
  local known = redis.call('ZSCORE', KEYS[1], ARGV[index])
  local full = (known and tonumber(known) or now) + math.ceil(ARGV[index + 1] * 1000 / ARGV[1])
  redis.call('ZADD', KEYS[1], string.format('%d', full), ARGV[index])
  left[#left + 1] = full - now
end
local last = redis.call('ZRANGE', KEYS[1], -1, -1, 'WITHSCORES')
if last[2] then redis.call('PEXPIREAT', KEYS[1], string.format('%d', last[2])) end
return left
