-- Removes a record if it is the one expected, in one step.
-- KEYS[1]: where. ARGV[1]: the revision expected.
local there = redis.pcall('GETRANGE', KEYS[1], 0, 7)
if type(there) == 'table' then
  if not string.find(there.err, 'WRONGTYPE', 1, true) then return there end
  there = '?'
end
if #there > 0 and #there < 8 then there = string.rep('\0', 8) end
if there == ARGV[1] then redis.call('UNLINK', KEYS[1]) end
return 'OK'
