-- What the scripts of a room share. All of a room's keys are in one slot and end at one instant.
-- KEYS room, log, presence, members, roll, leases, held, web
--   room     hash: where both logs stand, `added` when it was made on purpose
--   members  hash: client -> "m|l <floor> <presenceFloor> <joinedAt> <afterReset>", m a member, l a listener
--   roll     the members alone, in order: for pages and for the count
--   leases   node -> when its lease runs out; held: "<node> <client>"; web: client -> when its own lease runs out
-- ARGV publish, logKeep, messageTTL, maxLogLength, presence entry of a leave up to the client's id, then the script's own
local ROOM, LOG, PRESENCE, MEMBERS, ROLL, LEASES, HELD, WEB = unpack(KEYS)
local logKeep, ttl, longest = tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])

local function exists()
  return redis.call('EXISTS', ROOM) == 1
end

local function make()
  redis.call('UNLINK', unpack(KEYS))
  local born = string.format('%d-0', now)
  redis.call('HSET', ROOM, 'last', born, 'born', born, 'trimmed', 0, 'plast', born, 'pborn', born, 'ptrimmed', 0)
  redis.call('PEXPIRE', ROOM, logKeep)
end

-- Keeps the room for `ms` from now at least. One that was made on purpose has no end, and so has nothing in it.
local function keep(ms)
  local ends = redis.call('PEXPIRETIME', ROOM)
  local added = redis.call('HEXISTS', ROOM, 'added') == 1
  for index, key in ipairs(KEYS) do
    if ttl > 0 and (index == 2 or index == 3) then
      -- The logs end with their last entry; their places are the room's.
    elseif added then
      redis.call('PERSIST', key)
    else
      redis.call('PEXPIREAT', key, math.max(now + ms, ends))
    end
  end
end

-- When the last one has left the room ends in its time, which the leases may have put off. One that was never spoken in
-- is kept as long as a message would be: whoever comes back by then is not told that something was lost.
local function settle()
  local state = redis.call('HMGET', ROOM, 'last', 'born', 'added')
  if not state[1] or state[3] or redis.call('EXISTS', MEMBERS) == 1 then return end
  local ms = (state[1] == state[2] and ttl > 0) and ttl or logKeep
  for index, key in ipairs(KEYS) do
    if ttl == 0 or (index ~= 2 and index ~= 3) then redis.call('PEXPIRE', key, ms) end
  end
end

local news = {}

-- The presence log's next place, announced but not written: enough for a room that goes away in the same script.
local function announcePresence(last, data)
  local id, seq = nextId(last)
  news[#news + 1] = '1\n' .. id .. '\n' .. last .. '\n\n' .. data
  return id, seq
end

local function tell(data)
  local state = redis.call('HMGET', ROOM, 'plast', 'ptrimmed')
  local id, seq = announcePresence(state[1], data)
  if ttl > 0 then
    redis.call('XADD', PRESENCE, 'MINID', '=', now - ttl, id, 'p', state[1], 'd', data)
    redis.call('PEXPIRE', PRESENCE, ttl)
  else
    redis.call('XADD', PRESENCE, id, 'p', state[1], 'd', data)
  end
  redis.call('HSET', ROOM, 'plast', id)
  if seq - tonumber(state[2]) > longest and redis.call('XLEN', PRESENCE) > longest then
    redis.call('XTRIM', PRESENCE, 'MAXLEN', '=', longest)
    redis.call('HSET', ROOM, 'ptrimmed', seq - longest)
  end
end

-- The text that encodePresence makes: JSON as JavaScript writes it, which leaves slashes alone.
local function leaveText(id)
  return ARGV[5] .. string.gsub(cjson.encode(id), '\\/', '/')
end

-- Writes before announcements, always: nobody may hear of what is not stored.
local function publish()
  if ARGV[1] == '' then return end
  for _, text in ipairs(news) do
    redis.call(ARGV[1], PRESENCE, text)
  end
end

local nodes
local function allNodes()
  nodes = nodes or redis.call('ZRANGE', LEASES, 0, -1, 'WITHSCORES')
  return nodes
end

local function isHeld(id)
  local own = redis.call('ZSCORE', WEB, id)
  if own and tonumber(own) > now then return true end
  local all = allNodes()
  for index = 1, #all, 2 do
    if tonumber(all[index + 1]) > now and redis.call('ZSCORE', HELD, all[index] .. ' ' .. id) then return true end
  end
  return false
end

-- Takes a client out of the room: 'm' or 'l' for what it was, false when it was not there.
local function depart(id)
  local present = redis.call('HGET', MEMBERS, id)
  if not present then return false end
  redis.call('HDEL', MEMBERS, id)
  redis.call('ZREM', WEB, id)
  local all = allNodes()
  for index = 1, #all, 2 do
    redis.call('ZREM', HELD, all[index] .. ' ' .. id)
  end
  local was = string.sub(present, 1, 1)
  if was == 'm' then
    redis.call('ZREM', ROLL, id)
    tell(leaveText(id))
  end
  return was
end

-- Takes out those whose last lease ran out, at most `limit`: a list of id, m or l; and whether there are more.
-- Looks at what ran out only, never at everybody; whoever was looked at is not looked at again.
local function sweep(limit)
  local departed, seen = {}, 0
  local function look(id)
    seen = seen + 1
    if isHeld(id) then return end
    local was = depart(id)
    if was then
      departed[#departed + 1] = id
      departed[#departed + 1] = was
    end
  end

  for _, id in ipairs(redis.call('ZRANGEBYSCORE', WEB, '-inf', now, 'LIMIT', 0, limit)) do
    redis.call('ZREM', WEB, id)
    look(id)
  end
  for _, node in ipairs(redis.call('ZRANGEBYSCORE', LEASES, '-inf', now)) do
    -- '!' is the byte after the space.
    local ids = redis.call('ZRANGEBYLEX', HELD, '[' .. node .. ' ', '(' .. node .. '!', 'LIMIT', 0, limit)
    for _, held in ipairs(ids) do
      redis.call('ZREM', HELD, held)
      look(string.sub(held, #node + 2))
    end
    if #ids < limit then redis.call('ZREM', LEASES, node) end
    if seen >= limit then return departed, 1 end
  end
  return departed, seen >= limit and 1 or 0
end
