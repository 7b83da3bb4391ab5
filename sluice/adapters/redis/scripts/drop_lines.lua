-- Drop lines of attempts that have ended, but not those of later attempts.
-- KEYS: logs. ARGV: for each key, how it begins if it is of that attempt.
for i = 1, #KEYS do
  if redis.call('getrange', KEYS[i], 0, #ARGV[i] - 1) == ARGV[i] then redis.call('del', KEYS[i]) end
end
