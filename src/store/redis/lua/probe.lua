-- Is this Redis writable, and is what it publishes heard? Being no `no-writes` script, a full Redis refuses it.
-- KEYS probe, also the channel   ARGV publish, text
redis.call('SET', KEYS[1], ARGV[2], 'PX', 60000)
if ARGV[1] ~= '' then redis.call(ARGV[1], KEYS[1], ARGV[2]) end
return 1
