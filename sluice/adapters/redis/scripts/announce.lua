-- Announce: one call per batch. Finished documents are written once, results are replaced, and one message wakes all
-- waiters.
-- KEYS: documents, then results. ARGV: seconds to live, channel, message (empty: none), how many keys are documents, values.
local finished = tonumber(ARGV[4])
for i = 1, finished do redis.call('set', KEYS[i], ARGV[i + 4], 'nx', 'ex', ARGV[1]) end
for i = finished + 1, #KEYS do redis.call('set', KEYS[i], ARGV[i + 4], 'ex', ARGV[1]) end
if ARGV[3] ~= '' then redis.call('publish', ARGV[2], ARGV[3]) end
