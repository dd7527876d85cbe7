-- Takes away one holder, or all.
-- ARGV[6…] client, holder: '*' all, '' its own lease, else a node
local client, holder = ARGV[6], ARGV[7]
if holder ~= '*' then
  if holder == '' then
    redis.call('ZREM', WEB, client)
  else
    redis.call('ZREM', HELD, holder .. ' ' .. client)
  end
  if isHeld(client) then return '' end
end
local was = depart(client)
if was then settle() end
publish()
return was or ''
