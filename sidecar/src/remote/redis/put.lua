-- Stores a record if what is there is as expected, in one step.
-- KEYS[1]: where. ARGV: the revision expected ('' for nothing), the new
-- revision, the new revision and record, how long to keep it in ms.
-- Answers '+' or '-' and the new revision, so that the caller can tell that the
-- answer is its own.
local there = redis.pcall('GETRANGE', KEYS[1], 0, 7)
if type(there) == 'table' then
  if not string.find(there.err, 'WRONGTYPE', 1, true) then return there end
  -- Read with others (MGET) it looks like nothing: both replace it.
  there = ARGV[1] == '' and '' or '?'
end
-- The same call, sent again by the client.
if there == ARGV[2] then return '+' .. ARGV[2] end
-- Nothing of ours: any revision of eight zeros replaces it.
if #there > 0 and #there < 8 then there = string.rep('\0', 8) end
if there ~= ARGV[1] then return '-' .. ARGV[2] end
redis.call('SET', KEYS[1], ARGV[3], 'PX', ARGV[4])
return '+' .. ARGV[2]
