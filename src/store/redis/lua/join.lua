-- ARGV[6…] client, listening, create, rejoinFrom or '', presence entry of a join, then node or '' and lease, in pairs
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

local keepMs = logKeep
local present = redis.call('HGET', MEMBERS, client)
-- A client without any holder is anybody's to sweep.
if #ARGV == 10 and not present then redis.call('ZADD', WEB, 'NX', now, client) end
for index = 11, #ARGV, 2 do
  local node, lease = ARGV[index], tonumber(ARGV[index + 1])
  if node ~= '' then
    redis.call('ZADD', LEASES, 'GT', now + lease, node)
    redis.call('ZADD', HELD, 0, node .. ' ' .. client)
  else
    redis.call('ZADD', WEB, 'GT', now + lease, client)
  end
  keepMs = math.max(keepMs, lease)
end

local outcome = 'joined'
if present then
  if listening or string.byte(present) == 109 then
    outcome = 'already'
  else
    local floor, reset = string.match(present, '^l (%S+) %d+ (%d)$')
    present = string.format('m %s %d %s', floor, now, reset)
  end
else
  local state = redis.call('HMGET', ROOM, 'last', 'born')
  local floor, reset = state[1], 0
  if rejoinFrom ~= '' then
    floor = rejoinFrom
    if isAfter(state[2], rejoinFrom) then floor, reset = state[2], 1 end
  end
  present = string.format('%s %s %d %d', listening and 'l' or 'm', floor, now, reset)
end

if outcome == 'joined' then
  redis.call('HSET', MEMBERS, client, present)
  if not listening then
    redis.call('ZADD', ROLL, 0, client)
    tell(ARGV[10])
  end
end
keep(keepMs)
publish()
return { outcome, present, made }
