-- The last entries before a place, newest first.
-- KEYS log   ARGV messageTTL, before, limit
local ttl = tonumber(ARGV[1])
local oldest = ttl > 0 and string.format('%d-0', now - ttl) or '-'
return redis.call('XREVRANGE', KEYS[1], ARGV[2], oldest, 'COUNT', ARGV[3])
