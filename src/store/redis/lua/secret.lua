-- KEYS secret   ARGV proposed. The first one proposed is kept, with the time since when; answers it, and the time now.
local kept = redis.call('GET', KEYS[1])
if not kept then
  kept = string.format('%d %s', now, ARGV[1])
  redis.call('SET', KEYS[1], kept)
end
return { kept, nowText }
