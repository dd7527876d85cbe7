-- Appends entries to one log in the order given, and announces them together. This is what a say costs, so every call and
-- every number in it is counted: ids are put together as texts, because Lua prints numbers slowly.
-- KEYS state, log, roll (of a client's topic: its state), then for each entry its `once`
-- ARGV publish, logKeep, messageTTL, maxLogLength, pace, kind, then for each entry: member, create, keyMs, tag, how many
-- more there are of it, and those, its fields: d, data, …
-- Answers for each entry: its id, behind `*` where it brought a room into being, behind `=` where it had been appended
-- before; or `!`, not a member, or `?`, no log.
local STATE, LOG, ROLL = KEYS[1], KEYS[2], KEYS[3]
local ttl, longest, kind = tonumber(ARGV[3]), tonumber(ARGV[4]), ARGV[6]

local LAST, TRIMMED = 'last', 'trimmed'
if kind == 'presence' then LAST, TRIMMED = 'plast', 'ptrimmed' end
local state = redis.call('HMGET', STATE, LAST, TRIMMED, 'used')
local last, trimmed, used = state[1], state[2], state[3] or 0
local appended, seq = 0, nil
-- What is announced: id, tag and data of each entry.
local before, news, oneLineEach = nil, {}, true
-- Who was refused is so for the rest: what it said later is not to come before it.
local refusals = {}

local function refusal(member, create)
  if refusals[member] then return refusals[member] end
  if last then return member ~= '' and not redis.call('ZSCORE', ROLL, member) and '!' end
  -- A client's log lives in the client's record, so there is none without one.
  if create ~= '1' or kind == 'client' and redis.call('HEXISTS', STATE, 'v') == 0 then return '?' end
  return member ~= '' and '!'
end

local function append(once, at, fields)
  local member, made = ARGV[at], ''
  local refused = refusal(member, ARGV[at + 1])
  if refused then
    -- A repeated say is answered even where a new one is refused.
    local done = redis.call('GET', once)
    if done then return '=' .. done end
    if member ~= '' then refusals[member] = refused end
    return refused
  end
  if not last then
    local done = redis.call('GET', once)
    if done then return '=' .. done end
    last, trimmed = string.format('%d-0', now), 0
    redis.call('UNLINK', LOG)
    redis.call('HSET', STATE, 'last', last, 'born', last, 'trimmed', 0)
    if kind ~= 'client' then
      redis.call('HSET', STATE, 'plast', last, 'pborn', last, 'ptrimmed', 0)
      redis.call('PEXPIRE', STATE, ARGV[2])
      made = '*'
    end
  end

  local id, number = nextId(last)
  -- Asks for the key and keeps it in one call. Nothing is refused half-way: the keys have their types, unless somebody
  -- else writes there, and a Redis that is full refuses a script with `#!lua` before its first line.
  local done = redis.call('SET', once, id, 'NX', 'GET', 'PX', ARGV[at + 2])
  if done then return '=' .. done end

  if appended == 0 and ttl > 0 then
    redis.call('XADD', LOG, 'MINID', '=', string.format('%d', now - ttl), id, 'p', last,
      unpack(ARGV, at + 5, at + 4 + fields))
  else
    redis.call('XADD', LOG, id, 'p', last, unpack(ARGV, at + 5, at + 4 + fields))
  end
  if appended == 0 then before = last end
  appended, last, seq = appended + 1, id, number
  local data = ARGV[at + 6]
  news[#news + 1] = id
  news[#news + 1] = ARGV[at + 3]
  news[#news + 1] = data
  oneLineEach = oneLineEach and not string.find(data, '\n', 1, true)
  return made .. id
end

local answers, at = {}, 7
for nth = 4, #KEYS do
  local fields = tonumber(ARGV[at + 4])
  answers[#answers + 1] = append(KEYS[nth], at, fields)
  at = at + 5 + fields
end
if appended == 0 then return answers end

-- The log cannot be longer than this since it was last cut, so its length is rarely asked for.
if seq - trimmed > longest and redis.call('XLEN', LOG) > longest then
  redis.call('XTRIM', LOG, 'MAXLEN', '=', ARGV[4])
  redis.call('HSET', STATE, LAST, last, TRIMMED, string.format('%d', seq - longest))
else
  redis.call('HSET', STATE, LAST, last)
end

if kind == 'client' then
  redis.call('PEXPIREAT', LOG, redis.call('PEXPIRETIME', STATE))
elseif now - used >= tonumber(ARGV[5]) then
  -- TTLs are renewed a few times in their course only, and are longer by that step. GT never shortens the room's and
  -- leaves one that was made on purpose without any.
  redis.call('HSET', STATE, 'used', now)
  redis.call('PEXPIRE', STATE, ARGV[2] + ARGV[5], 'GT')
  local ends = redis.call('PEXPIRETIME', STATE)
  if ttl > 0 then
    redis.call('PEXPIRE', LOG, ttl + ARGV[5])
  elseif ends > 0 then
    redis.call('PEXPIREAT', LOG, ends)
  end
end

if ARGV[1] ~= '' then
  if appended > 1 and oneLineEach then
    redis.call(ARGV[1], LOG, '1\nentries\n' .. before .. '\n' .. table.concat(news, '\n'))
  else
    for nth = 1, #news, 3 do
      redis.call(ARGV[1], LOG, table.concat({ '1', news[nth], before, news[nth + 1], news[nth + 2] }, '\n'))
      before = news[nth]
    end
  end
end
return answers
