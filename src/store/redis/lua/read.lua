-- Entries after a place and the log's state, of one instant.
-- KEYS state, log   ARGV messageTTL, kind, after, limit
local prefix = ARGV[2] == 'presence' and 'p' or ''
local state = redis.call('HMGET', KEYS[1], prefix .. 'last', prefix .. 'born', prefix .. 'trimmed')
if not state[1] then return false end

local entries = {}
local limit = tonumber(ARGV[4])
if limit > 0 then
  local from = '(' .. ARGV[3]
  local ttl = tonumber(ARGV[1])
  if ttl > 0 then
    local oldest = now - ttl
    -- Expired entries that no append has trimmed yet are not read either.
    if tonumber(string.match(ARGV[3], '^%d+')) < oldest then from = string.format('%d-0', oldest) end
  end
  -- In pieces, until it is enough: hundreds of large entries at once would hold up everybody else.
  local bytes, asked, some = 0, 0, {}
  repeat
    asked = math.min(64, limit - #entries)
    some = redis.call('XRANGE', KEYS[2], from, '+', 'COUNT', asked)
    for _, entry in ipairs(some) do
      entries[#entries + 1] = entry
      for _, text in ipairs(entry[2]) do bytes = bytes + #text end
    end
    if #some > 0 then from = '(' .. some[#some][1] end
  until #some < asked or #entries == limit or bytes >= 1048576
end
return { state[1], state[2], state[3], entries }
