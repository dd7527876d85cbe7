-- ARGV[6] how many at most
local departed, more = sweep(tonumber(ARGV[6]))
-- One that was empty before has its end already, which looking at it does not put off.
if #departed > 0 then settle() end
publish()
return { departed, more }
