-- Forget: one call per batch. Tombstones cover documents whose jobs are gone, and one message says so.
-- KEYS: documents. ARGV: seconds to live, channel, message.
for i = 1, #KEYS do redis.call('set', KEYS[i], '', 'ex', ARGV[1]) end
redis.call('publish', ARGV[2], ARGV[3])
