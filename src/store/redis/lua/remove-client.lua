-- KEYS record, log   ARGV publish
local version = redis.call('HGET', KEYS[1], 'v')
redis.call('UNLINK', KEYS[1], KEYS[2])
if version and ARGV[1] ~= '' then
  redis.call(ARGV[1], KEYS[2], string.format('1\nchanged\n%d', version + 1))
end
return version and version + 1
