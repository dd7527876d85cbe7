-- ARGV[6…] client, listening, create, rejoinFrom in both logs or '' and '', presence entry of a join,
-- then node or '' and lease, in pairs
local client, listening, rejoinFrom = ARGV[6], ARGV[7] == '1', ARGV[9]

local function isAfter(left, right)
  local leftMs, leftSeq = string.match(left, '^(%d+)-(%d+)$')
  local rightMs, rightSeq = string.match(right, '^(%d+)-(%d+)$')
  if leftMs ~= rightMs then return tonumber(leftMs) > tonumber(rightMs) end
  return tonumber(leftSeq) > tonumber(rightSeq)
end

local made = 0
if not exists() then
  if ARGV[8] ~= '1' then return { 'no_room' } end
  make()
  made = 1
end

local keepMs, began = logKeep, 0
local present = redis.call('HGET', MEMBERS, client)
-- A client without any holder is anybody's to sweep.
if #ARGV == 11 and not present then redis.call('ZADD', WEB, 'NX', now, client) end
for index = 12, #ARGV, 2 do
  local node, lease = ARGV[index], tonumber(ARGV[index + 1])
  if node ~= '' then
    local ends = redis.call('ZSCORE', LEASES, node)
    if not ends or tonumber(ends) <= now then began = 1 end
    redis.call('ZADD', LEASES, 'GT', now + lease, node)
    redis.call('ZADD', HELD, 0, node .. ' ' .. client)
  else
    redis.call('ZADD', WEB, 'GT', now + lease, client)
  end
  keepMs = math.max(keepMs, lease)
end

local outcome = 'joined'
if present and (listening or string.byte(present) == 109) then
  outcome = 'already'
else
  if not listening then
    redis.call('ZADD', ROLL, 0, client)
    tell(ARGV[11])
  end
  if present then
    local floors, reset = string.match(present, '^l (%S+ %S+) %d+ (%d)$')
    present = string.format('m %s %d %s', floors, now, reset)
  else
    -- After it was told: what a client hears of who comes and goes begins behind its own coming.
    local state = redis.call('HMGET', ROOM, 'last', 'plast', 'born', 'pborn')
    local floor, presenceFloor, reset = state[1], state[2], 0
    if rejoinFrom ~= '' then
      floor, presenceFloor = rejoinFrom, ARGV[10]
      if isAfter(state[3], rejoinFrom) then floor, presenceFloor, reset = state[3], state[4], 1 end
    end
    present = string.format('%s %s %s %d %d', listening and 'l' or 'm', floor, presenceFloor, now, reset)
  end
  redis.call('HSET', MEMBERS, client, present)
end
keep(keepMs)
publish()
return { outcome, present, made, began }
