-- ARGV[6…] lease, clients. Answers those that are not here.
local lease = tonumber(ARGV[6])
local missing = {}
for index = 7, #ARGV do
  if redis.call('HEXISTS', MEMBERS, ARGV[index]) == 1 then
    redis.call('ZADD', WEB, 'GT', now + lease, ARGV[index])
  else
    missing[#missing + 1] = ARGV[index]
  end
end
if #missing < #ARGV - 6 then keep(math.max(logKeep, lease)) end
return missing
