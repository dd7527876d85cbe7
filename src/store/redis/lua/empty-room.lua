-- Takes everybody out of the room, which stays: some of them at a time.
-- ARGV[6] how many at most
if not exists() then return false end
local departed = {}
for _, client in ipairs(redis.call('HRANDFIELD', MEMBERS, ARGV[6])) do
  departed[#departed + 1] = client
  departed[#departed + 1] = depart(client)
end
settle()
publish()
return departed
