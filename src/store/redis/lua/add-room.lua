local added = 0
if not exists() then
  make()
  added = 1
end
redis.call('HSET', ROOM, 'added', 1)
keep(logKeep)
return added
