-- ARGV[6…] how many to sweep, limit, after or ''
if not exists() then return false end
local departed, more = {}, 0
if ARGV[6] ~= '0' then departed, more = sweep(tonumber(ARGV[6])) end

local limit = tonumber(ARGV[7])
-- One more than asked for tells whether this is the last page.
local from = ARGV[8] == '' and '-' or '(' .. ARGV[8]
local ids = redis.call('ZRANGEBYLEX', ROLL, from, '+', 'LIMIT', 0, limit + 1)
local next = #ids > limit and 1 or 0
ids[limit + 1] = nil

local members = {}
for first = 1, #ids, 1000 do
  local texts = redis.call('HMGET', MEMBERS, unpack(ids, first, math.min(first + 999, #ids)))
  for index, text in ipairs(texts) do
    members[#members + 1] = ids[first + index - 1]
    members[#members + 1] = text
  end
end
local ends = redis.call('HMGET', ROOM, 'plast', 'last')
local count = redis.call('ZCARD', ROLL)
if #departed > 0 then settle() end
publish()
return { departed, more, members, count, next, ends[1], ends[2] }
