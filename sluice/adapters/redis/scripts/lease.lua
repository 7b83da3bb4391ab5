-- Take units of a key's quota: sluice/core/rate_limit.py, by the clock of Redis.
-- KEYS: when the key would have spent all it took. ARGV: microseconds until a unit is back, units of the quota, need, want, owed.
local time = redis.call('time')
local now = time[1] * 1000000 + time[2]
local interval, quota, need = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local want, owed = tonumber(ARGV[4]), tonumber(ARGV[5])
local tat = math.max(tonumber(redis.call('get', KEYS[1]) or '') or 0, now)
local room_us = quota * interval - (tat - now)
local room = math.floor(room_us / interval)
if room < need then return {0, math.max(0, room), need * interval - room_us} end
local units = math.max(need, math.min(want, room))
tat = tat + (units + owed) * interval
redis.call('set', KEYS[1], string.format('%.0f', tat), 'px', math.ceil((tat - now) / 1000))
return {units, math.max(0, room - units - owed), 0}
