-- For `unstale check`: which of the commands of put.lua and delete.lua the user
-- may not send. Sends none of them; nothing is written. A server older than 7.0
-- cannot be asked so: there the read among them is tried.
-- KEYS[1]: a key of the fleet. Answers their names, with a space between.
if not redis.acl_check_cmd then return redis.pcall('GETRANGE', KEYS[1], 0, 7) end
local calls = {
  { 'GETRANGE', KEYS[1], 0, 7 },
  { 'SET', KEYS[1], '', 'PX', 1 },
  { 'UNLINK', KEYS[1] },
}
local denied = {}
for _, call in ipairs(calls) do
  if not redis.acl_check_cmd(unpack(call)) then table.insert(denied, call[1]) end
end
return table.concat(denied, ' ')
