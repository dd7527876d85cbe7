-- ARGV[6] how many at most
local departed, more = sweep(tonumber(ARGV[6]))
local gone = settle()
publish()
return { departed, more, gone }
