-- The store's clock: the only one that is ever part of an id, a lease or a TTL.
local time = redis.call('TIME')
-- The seconds, and three digits of the microseconds.
local nowText = time[1] .. string.sub(time[2] + 1000000, 2, 4)
local now = tonumber(nowText)

-- `<ms>-<seq>`: seq is the last one's plus 1, ms never goes back, whatever the clock does.
local function nextId(last)
  local dash = string.find(last, '-', 1, true)
  local ms, seq = string.sub(last, 1, dash - 1), string.sub(last, dash + 1) + 1
  if now > tonumber(ms) then ms = nowText end
  return ms .. '-' .. string.format('%d', seq), seq
end
