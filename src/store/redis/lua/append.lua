-- Appends one entry and announces it. This is what a say costs, so every call in it is counted.
-- KEYS state, log, once, members (of a client's topic: none)
-- ARGV publish, logKeep, messageTTL, maxLogLength, pace, kind, member, create, keyMs, tag, then the fields: d, data, …
local STATE, LOG, ONCE, MEMBERS = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local ttl, longest, kind, member = tonumber(ARGV[3]), tonumber(ARGV[4]), ARGV[6], ARGV[7]

local LAST, TRIMMED = 'last', 'trimmed'
if kind == 'presence' then LAST, TRIMMED = 'plast', 'ptrimmed' end
local state = redis.call('HMGET', STATE, LAST, TRIMMED, 'used', 'v')
local last, trimmed, used = state[1], tonumber(state[2] or 0), tonumber(state[3] or 0)
local made = ''

-- A repeated say is answered even where a new one would be refused.
local function refuse(why)
  local done = redis.call('GET', ONCE)
  return done and '=' .. done or why
end

if not last then
  -- A client's log lives in the client's record, so there is none without one.
  if ARGV[8] ~= '1' or (kind == 'client' and not state[4]) then return refuse('?') end
  local done = redis.call('GET', ONCE)
  if done then return '=' .. done end
  if member ~= '' then return '!' end
  last = string.format('%.0f-0', now)
  redis.call('UNLINK', LOG)
  redis.call('HSET', STATE, 'last', last, 'born', last, 'trimmed', 0)
  if kind ~= 'client' then
    redis.call('HSET', STATE, 'plast', last, 'pborn', last, 'ptrimmed', 0)
    redis.call('PEXPIRE', STATE, ARGV[2])
    made = '*'
  end
elseif member ~= '' then
  local present = redis.call('HGET', MEMBERS, member)
  if not present or string.byte(present) ~= 109 then return refuse('!') end
end

local id, seq = nextId(last)
-- Asks for the key and keeps it in one call. Nothing after it can be refused: the keys have their types, and a Redis
-- that is full refuses a script with `#!lua` before its first line.
local done = redis.call('SET', ONCE, id, 'NX', 'GET', 'PX', ARGV[9])
if done then return '=' .. done end

if ttl > 0 then
  redis.call('XADD', LOG, 'MINID', '=', now - ttl, id, 'p', last, unpack(ARGV, 11))
else
  redis.call('XADD', LOG, id, 'p', last, unpack(ARGV, 11))
end

-- The log cannot be longer than this since it was last cut, so its length is rarely asked for.
if seq - trimmed > longest and redis.call('XLEN', LOG) > longest then
  redis.call('XTRIM', LOG, 'MAXLEN', '=', longest)
  redis.call('HSET', STATE, LAST, id, TRIMMED, seq - longest)
else
  redis.call('HSET', STATE, LAST, id)
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
  redis.call(ARGV[1], LOG, '1\n' .. id .. '\n' .. last .. '\n' .. ARGV[10] .. '\n' .. ARGV[12])
end
return made .. id
