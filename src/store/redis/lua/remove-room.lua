-- Everybody leaves, as the presence log would have told had it not gone with the room.
if not exists() then return false end
local clients = redis.call('HGETALL', MEMBERS)
local last = redis.call('HGET', ROOM, 'plast')
local departed = {}
for index = 1, #clients, 2 do
  local was = string.sub(clients[index + 1], 1, 1)
  departed[index], departed[index + 1] = clients[index], was
  if was == 'm' then last = announcePresence(last, leaveText(clients[index])) end
end
redis.call('UNLINK', unpack(KEYS))
publish()
return departed
