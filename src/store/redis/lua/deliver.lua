-- KEYS record, log   ARGV ttl, from, pending, confirmed fields and places
local state = redis.call('HMGET', KEYS[1], 'v', 'gen')
if not state[1] then return false end
local generation = tonumber(state[2] or 0)
-- Another answer went in between: what this one confirms may not be what that one gave.
if generation == tonumber(ARGV[2]) and #ARGV > 3 then redis.call('HSET', KEYS[1], unpack(ARGV, 4)) end
redis.call('HSET', KEYS[1], 'gen', generation + 1, 'pend', ARGV[3])
redis.call('PEXPIRE', KEYS[1], ARGV[1])
redis.call('PEXPIRE', KEYS[2], ARGV[1])
return generation + 1
