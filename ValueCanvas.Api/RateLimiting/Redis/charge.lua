-- Checks every policy of a request, then charges all of them or none.
-- KEYS: clock, one per policy, one more per policy whose reservations can be reclaimed
-- ARGV: number of policies, id of the request, then for each policy:
--       algorithm, limit, window, burst (time), cost, flags (1 shadow, 2 reclaimable, 4 admitted already), lifetime, level to restore
-- Answer: refused, the binding policy, time, epoch, then for each policy:
--         denied, remaining, time until all is free, time until this may pass (-1 never), level, place and refunds of the charge

local NEVER, DAY = -1, 86400000
local now, epoch = clock(KEYS[1])
local count, id = tonumber(ARGV[1]), ARGV[2]
local policies, refused, binding, longest, extra = {}, 0, 0, 0, count + 1

local function restore(p, hint)
  if hint <= 0 then return end
  local have = level(p.algorithm, p.key, now, p.window)
  if have >= hint then return end
  if p.algorithm == 'b' then
    local _, refunded = bucket(p.key)
    keep_bucket(p.key, now + hint, refunded, now)
  elseif p.algorithm ~= 'c' then
    add(p.algorithm, p.key, now, p.limit, p.window, hint - have)
  end
end

local function reclaim(p)
  for _, member in ipairs(redis.call('ZRANGEBYSCORE', p.records, '-inf', int(now), 'LIMIT', 0, 16)) do
    redis.call('ZREM', p.records, member)
    local amount, place, refunds = string.match(member, '^[^:]*:(%d+):(%d+):(%d+)$')
    if amount then
      refund(p.algorithm, p.key, now, p.limit, p.window, tonumber(amount), tonumber(place), tonumber(refunds))
    end
  end
end

local function look(p)
  if p.algorithm == 'b' then
    local tat, refunded = bucket(p.key)
    p.from, p.refunds = math.max(tat, now), refunded
    local takes = increment(p.cost, p.limit, p.window)
    p.to = p.from + takes
    p.wait = math.max(0, p.to - p.burst - now)
    if takes > p.burst then p.wait = NEVER end
  elseif p.algorithm == 's' then
    local sum, oldest, latest = sliding(p.key, now, p.window)
    p.used, p.latest, p.wait = sum, latest, 0
    local over = sum + p.cost - p.limit
    if p.cost > p.limit then p.wait = NEVER
    elseif over > 0 then p.wait = wait_sliding(p.key, now, p.window, oldest, latest, over) end
  elseif p.algorithm == 'f' then
    p.used, p.place = fixed(p.key, now, p.window)
    p.wait = 0
    if p.cost > p.limit then p.wait = NEVER
    elseif p.used + p.cost > p.limit then p.wait = (p.place + 1) * p.window - now end
  else
    redis.call('ZREMRANGEBYSCORE', p.key, '-inf', int(now))
    p.used, p.wait = redis.call('ZCARD', p.key), 0
    -- Nobody knows when a request ends: ask again in a second.
    if p.used + 1 > p.limit then p.wait = 1000000 end
  end
end

local function charge(p)
  if p.algorithm == 'b' then
    keep_bucket(p.key, p.to, p.refunds, now)
    p.from, p.place = p.to, p.to
  elseif p.algorithm == 's' then
    p.place = add_sliding(p.key, now, p.window, p.cost)
    p.used, p.latest = p.used + p.cost, p.place
  elseif p.algorithm == 'f' then
    p.used = p.used + p.cost
    keep_fixed(p.key, p.place, p.used, now, p.window)
  else
    redis.call('ZADD', p.key, int(now + p.lifetime), id)
    redis.call('PEXPIRE', p.key, millis(p.lifetime))
    p.used = p.used + 1
  end
  if p.records then
    redis.call('ZADD', p.records, int(now + p.lifetime),
      id .. ':' .. int(p.cost) .. ':' .. int(p.place) .. ':' .. int(p.refunds or 0))
    redis.call('PEXPIRE', p.records, DAY)
  end
end

-- 1. Look at all.
for i = 1, count do
  local at = 2 + (i - 1) * 8
  local flags = tonumber(ARGV[at + 6])
  local p = {
    key = KEYS[i + 1], algorithm = ARGV[at + 1], limit = tonumber(ARGV[at + 2]), window = tonumber(ARGV[at + 3]),
    burst = tonumber(ARGV[at + 4]), cost = tonumber(ARGV[at + 5]), shadow = flags % 2 == 1, lifetime = tonumber(ARGV[at + 7]),
  }
  if flags % 4 >= 2 then
    extra = extra + 1
    p.records = KEYS[extra]
    reclaim(p)
  end
  restore(p, tonumber(ARGV[at + 8]))
  look(p)
  p.denied = p.wait ~= 0
  if flags >= 4 then
    -- Nothing is refused any more, but a limit of nothing has nothing to count in.
    p.denied = p.limit == 0 or (p.denied and p.shadow)
  elseif p.denied and not p.shadow then
    refused = 1
    if longest ~= NEVER and (p.wait == NEVER or p.wait > longest) then binding, longest = i, p.wait end
  end
  policies[i] = p
end

-- 2. Charge all, or none; a shadow policy that would have refused is not charged either.
local answer = { refused, binding, now, epoch }
for i = 1, count do
  local p = policies[i]
  if refused == 0 and not p.denied then charge(p) end
  local remaining, reset, full
  if p.algorithm == 'b' then
    full = p.from - now
    remaining, reset = math.floor((p.burst - full) * p.limit / p.window), full
  else
    remaining, full, reset = p.limit - p.used, p.used, 0
    if p.algorithm == 'f' then reset = (p.place + 1) * p.window - now
    elseif p.latest then reset = (p.latest + 1) * slot_of(p.window) + p.window - now end
  end
  for _, value in ipairs({ p.denied and 1 or 0, math.max(0, remaining), reset, p.wait, full, p.place or 0, p.refunds or 0 }) do
    answer[#answer + 1] = value
  end
end
return answer
