-- Where logs end; false for one that is not there.
-- KEYS states   ARGV for each, the field that tells
local ends = {}
for index, state in ipairs(KEYS) do
  ends[index] = redis.call('HGET', state, ARGV[index])
end
return ends
