-- Post lines: one call per round. The newest lines of each job that runs are replaced, and one message has those that are new.
-- KEYS: logs. ARGV: channel, message, then for each key its seconds to live and its lines.
for i = 1, #KEYS do redis.call('set', KEYS[i], ARGV[2 * i + 2], 'ex', ARGV[2 * i + 1]) end
redis.call('publish', ARGV[1], ARGV[2])
