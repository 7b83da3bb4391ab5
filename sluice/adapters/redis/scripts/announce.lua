-- Announce: one call per batch. One message wakes all waiters, finished documents are written once, and results are replaced. The
-- message is first: nobody sees what is between, and if Redis takes no writes, who waits asks the record.
-- KEYS: documents, then results. ARGV: seconds to live, channel, message (empty: none), how many keys are documents, values.
if ARGV[3] ~= '' then redis.call('publish', ARGV[2], ARGV[3]) end
local finished = tonumber(ARGV[4])
for i = 1, finished do redis.call('set', KEYS[i], ARGV[i + 4], 'nx', 'ex', ARGV[1]) end
for i = finished + 1, #KEYS do redis.call('set', KEYS[i], ARGV[i + 4], 'ex', ARGV[1]) end
