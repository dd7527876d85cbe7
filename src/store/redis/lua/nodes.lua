-- KEYS records, ends
local live = redis.call('ZRANGEBYSCORE', KEYS[2], '(' .. now, '+inf')
local records = {}
for _, node in ipairs(live) do
  local record = redis.call('HGET', KEYS[1], node)
  if record then records[#records + 1] = record end
end
return records
