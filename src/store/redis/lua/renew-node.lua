-- ARGV[6…] node, lease. A lease that ran out is not brought back: its clients may have been swept.
local ends = redis.call('ZSCORE', LEASES, ARGV[6])
if not ends or tonumber(ends) <= now then return 0 end
redis.call('ZADD', LEASES, now + ARGV[7], ARGV[6])
keep(math.max(logKeep, tonumber(ARGV[7])))
return 1
