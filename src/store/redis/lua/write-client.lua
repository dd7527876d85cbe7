-- KEYS record, log
-- ARGV publish, ttl, create, counts as a change, most rooms or 0, a room's field that is to be there or '',
-- what that is to be or '', number of fields to remove, those, fields and values
local removed = tonumber(ARGV[8])
local firstSet = 9 + removed

local state = redis.call('HMGET', KEYS[1], 'v', 'at', 'room')
local version, at = tonumber(state[1] or 0), state[2]
if version == 0 and ARGV[3] ~= '1' then return false end

if version > 0 and ARGV[6] ~= '' then
  local room = redis.call('HGET', KEYS[1], ARGV[6])
  if not room or (ARGV[7] ~= '' and room ~= ARGV[7]) then return 'not_in_room' end
end

local most = tonumber(ARGV[5])
if most > 0 then
  local heard, count = {}, 0
  local function hear(field)
    if string.sub(field, 1, 2) ~= 'r:' or heard[field] then return end
    heard[field] = true
    count = count + 1
  end
  if version > 0 then
    for _, field in ipairs(redis.call('HKEYS', KEYS[1])) do hear(field) end
  end
  for index = firstSet, #ARGV, 2 do hear(ARGV[index]) end
  if count > most then return 'too_many_rooms' end
end

if version == 0 then
  redis.call('UNLINK', KEYS[1], KEYS[2])
  at = nowText
  redis.call('HSET', KEYS[1], 'at', at)
end
for index = 9, firstSet - 1 do
  -- A room that is left is the current one no more.
  if state[3] and ARGV[index] == 'r:' .. state[3] then redis.call('HDEL', KEYS[1], 'room') end
end
for first = 9, firstSet - 1, 1000 do
  redis.call('HDEL', KEYS[1], unpack(ARGV, first, math.min(first + 999, firstSet - 1)))
end
for first = firstSet, #ARGV, 1000 do
  redis.call('HSET', KEYS[1], unpack(ARGV, first, math.min(first + 999, #ARGV)))
end
for index = firstSet, #ARGV, 2 do
  -- Nor is one that is only listened to.
  if string.sub(ARGV[index], 1, 2) == 'r:' and string.sub(ARGV[index + 1], 1, 2) == 'l ' then
    if redis.call('HGET', KEYS[1], 'room') == string.sub(ARGV[index], 3) then redis.call('HDEL', KEYS[1], 'room') end
  end
end

local changed = version == 0 or ARGV[4] == '1'
if changed then
  version = version + 1
  redis.call('HSET', KEYS[1], 'v', version)
end
redis.call('PEXPIRE', KEYS[1], ARGV[2])
redis.call('PEXPIRE', KEYS[2], ARGV[2])
if changed and ARGV[1] ~= '' then redis.call(ARGV[1], KEYS[2], '1\nchanged\n' .. version) end
return { version, at, state[3] }
