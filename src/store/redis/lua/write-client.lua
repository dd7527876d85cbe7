-- KEYS record, log   ARGV publish, ttl, create, counts as a change, number of fields to remove, those, fields and values
local state = redis.call('HMGET', KEYS[1], 'v', 'at')
local version, at = tonumber(state[1] or 0), state[2]
if version == 0 then
  if ARGV[3] ~= '1' then return false end
  redis.call('UNLINK', KEYS[1], KEYS[2])
  at = nowText
  redis.call('HSET', KEYS[1], 'at', at)
end

local removed = tonumber(ARGV[5])
for first = 6, 5 + removed, 1000 do
  redis.call('HDEL', KEYS[1], unpack(ARGV, first, math.min(first + 999, 5 + removed)))
end
for first = 6 + removed, #ARGV, 1000 do
  redis.call('HSET', KEYS[1], unpack(ARGV, first, math.min(first + 999, #ARGV)))
end

local changed = version == 0 or ARGV[4] == '1'
if changed then
  version = version + 1
  redis.call('HSET', KEYS[1], 'v', version)
end
redis.call('PEXPIRE', KEYS[1], ARGV[2])
redis.call('PEXPIRE', KEYS[2], ARGV[2])
if changed and ARGV[1] ~= '' then redis.call(ARGV[1], KEYS[2], '1\nchanged\n' .. version) end
return { version, at }
