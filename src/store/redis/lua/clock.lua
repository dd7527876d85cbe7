-- The store's clock: the only one that is ever part of an id, a lease or a TTL.
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)

-- `<ms>-<seq>`: seq is the last one's plus 1, ms never goes back, whatever the clock does.
local function nextId(last)
  local dash = string.find(last, '-', 1, true)
  local ms, seq = tonumber(string.sub(last, 1, dash - 1)), tonumber(string.sub(last, dash + 1)) + 1
  return string.format('%.0f-%.0f', now > ms and now or ms, seq), seq
end
