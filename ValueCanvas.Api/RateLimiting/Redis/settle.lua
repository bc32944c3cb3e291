-- Exchanges what was reserved for what was used, and ends leases.
-- KEYS: clock, then for each charge its policy's key and the key of its reservations (or the policy's again)
-- ARGV: id of the request, epoch in which it was charged, then for each charge:
--       algorithm, limit, window, reserved, used, place, refunds, flags (2 reclaimable)
-- Answer: time, epoch, then for each charge level and time until all is free

local now, epoch = clock(KEYS[1])
local id, charged_in = ARGV[1], tonumber(ARGV[2])
local answer = { now, epoch }
for i = 1, (#KEYS - 1) / 2 do
  local key, records = KEYS[2 * i], KEYS[2 * i + 1]
  local at = 2 + (i - 1) * 8
  local algorithm, limit, window = ARGV[at + 1], tonumber(ARGV[at + 2]), tonumber(ARGV[at + 3])
  if algorithm == 'c' then
    call('ZREM', key, id)
  else
    local reserved, used = tonumber(ARGV[at + 4]), tonumber(ARGV[at + 5])
    -- A charge that was reclaimed or flushed is there no more, so that all of what was used is owed.
    local there = charged_in == epoch
    if tonumber(ARGV[at + 8]) >= 2 then
      there = call('ZREM', records, id .. ':' .. ARGV[at + 4] .. ':' .. ARGV[at + 6] .. ':' .. ARGV[at + 7]) == 1
    end
    if not there then reserved = 0 end
    if used < reserved then
      refund(algorithm, key, now, limit, window, reserved - used, tonumber(ARGV[at + 6]), tonumber(ARGV[at + 7]))
    elseif used > reserved then
      add(algorithm, key, now, limit, window, used - reserved)
    end
  end
  local full, reset = level(algorithm, key, now, window)
  answer[#answer + 1] = full
  answer[#answer + 1] = reset
end
return answer
