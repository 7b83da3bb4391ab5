-- Read: documents in the order of the keys, as many as fit, and one at least.
-- KEYS: documents. ARGV: bytes.
local found, left = {}, tonumber(ARGV[1])
for i = 1, #KEYS do
  local value = redis.call('get', KEYS[i])
  left = left - (value and #value or 0)
  if left < 0 and i > 1 then break end
  found[i] = value
end
return found
