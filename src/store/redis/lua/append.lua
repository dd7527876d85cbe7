-- Appends one entry and announces it. This is what a say costs, so every call and every number in it is counted:
-- ids are put together as texts, because Lua prints numbers slowly.
-- KEYS state, log, once, roll (of a client's topic: none)
-- ARGV publish, logKeep, messageTTL, maxLogLength, pace, kind, member, create, keyMs, tag, then the fields: d, data, …
local STATE, LOG, ONCE = KEYS[1], KEYS[2], KEYS[3]
local ttl, longest, kind, member = tonumber(ARGV[3]), tonumber(ARGV[4]), ARGV[6], ARGV[7]

local LAST, TRIMMED = 'last', 'trimmed'
if kind == 'presence' then LAST, TRIMMED = 'plast', 'ptrimmed' end
local state = redis.call('HMGET', STATE, LAST, TRIMMED, 'used')
local last, trimmed, used = state[1], state[2], state[3] or 0
local made = ''

if not last then
  -- A client's log lives in the client's record, so there is none without one.
  local refused = ARGV[8] ~= '1' and '?' or member ~= '' and '!'
  if kind == 'client' and redis.call('HEXISTS', STATE, 'v') == 0 then refused = '?' end
  local done = redis.call('GET', ONCE)
  if done then return '=' .. done end
  if refused then return refused end
  last, trimmed = string.format('%d-0', now), 0
  redis.call('UNLINK', LOG)
  redis.call('HSET', STATE, 'last', last, 'born', last, 'trimmed', 0)
  if kind ~= 'client' then
    redis.call('HSET', STATE, 'plast', last, 'pborn', last, 'ptrimmed', 0)
    redis.call('PEXPIRE', STATE, ARGV[2])
    made = '*'
  end
elseif member ~= '' and not redis.call('ZSCORE', KEYS[4], member) then
  -- A repeated say is answered even where a new one is refused.
  local done = redis.call('GET', ONCE)
  return done and '=' .. done or '!'
end

local id, seq = nextId(last)
-- Asks for the key and keeps it in one call. Nothing after it can be refused: the keys have their types, and a Redis
-- that is full refuses a script with `#!lua` before its first line.
local done = redis.call('SET', ONCE, id, 'NX', 'GET', 'PX', ARGV[9])
if done then return '=' .. done end

if ttl > 0 then
  redis.call('XADD', LOG, 'MINID', '=', string.format('%d', now - ttl), id, 'p', last, unpack(ARGV, 11))
else
  redis.call('XADD', LOG, id, 'p', last, unpack(ARGV, 11))
end

-- The log cannot be longer than this since it was last cut, so its length is rarely asked for.
if seq - trimmed > longest and redis.call('XLEN', LOG) > longest then
  redis.call('XTRIM', LOG, 'MAXLEN', '=', ARGV[4])
  redis.call('HSET', STATE, LAST, id, TRIMMED, string.format('%d', seq - longest))
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
