-- For each of the requests, in turn: checks every policy, then charges all of them or none.
-- KEYS: clock, then for each request and policy its key, followed by that of its reservations where they can be reclaimed
-- ARGV: one array of MessagePack: for each request its id and the number of policies, then for each policy:
--       algorithm, limit, window, burst (time), cost, flags (1 shadow, 2 reclaimable, 4 admitted already), lifetime, level to restore
-- Answer: the same way: time, epoch, then for each request: refused, the binding policy, then for each policy:
--         denied, remaining, time until all is free, time until this may pass (-1 never), level, place and refunds of the charge

local NEVER, DAY = -1, 86400000
local now, epoch = clock(KEYS[1])
local told, answer, key_at = cmsgpack.unpack(ARGV[1]), { now, epoch }, 1

local function restore(p, hint)
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
  for _, member in ipairs(call('ZRANGEBYSCORE', p.records, '-inf', int(now), 'LIMIT', 0, 16)) do
    call('ZREM', p.records, member)
    local amount, place, refunds = string.match(member, '^[^:]*:(%d+):(%d+):(%d+)$')
    if amount then
      refund(p.algorithm, p.key, now, p.limit, p.window, tonumber(amount), tonumber(place), tonumber(refunds))
    end
  end
end

local function look(p)
  p.wait = 0
  if p.algorithm == 'b' then
    local tat, refunded = bucket(p.key)
    p.from, p.refunds = max(tat, now), refunded
    local takes = increment(p.cost, p.limit, p.window)
    p.to = p.from + takes
    if takes > p.burst then p.wait = NEVER
    else p.wait = max(0, p.to - p.burst - now) end
  elseif p.algorithm == 'c' then
    call('ZREMRANGEBYSCORE', p.key, '-inf', int(now))
    p.used = call('ZCARD', p.key)
    -- Nobody knows when a request ends: ask again in a second.
    if p.used + 1 > p.limit then p.wait = 1000000 end
  else
    local w = open_window(p.algorithm, p.key, now, p.window)
    p.counts, p.used = w, w.sum
    local over = w.sum + p.cost - p.limit
    if p.cost > p.limit then p.wait = NEVER
    elseif over > 0 then p.wait = window_frees(w, now, over) end
  end
end

local function charge(p, id)
  if p.algorithm == 'b' then
    keep_bucket(p.key, p.to, p.refunds, now)
    p.from, p.place = p.to, p.to
  elseif p.algorithm == 'c' then
    call('ZADD', p.key, int(now + p.lifetime), id)
    call('PEXPIRE', p.key, millis(p.lifetime))
    p.used = p.used + 1
  else
    p.place = add_to_window(p.counts, now, p.cost)
    p.used = p.counts.sum
  end
  if p.records then
    call('ZADD', p.records, int(now + p.lifetime), id .. ':' .. int(p.cost) .. ':' .. int(p.place) .. ':' .. int(p.refunds or 0))
    call('PEXPIRE', p.records, DAY)
  end
end

local function decide(at)
  local id, count = told[at], told[at + 1]
  local policies, refused, binding, longest = {}, 0, 0, 0

  -- 1. Look at all.
  at = at + 1
  for i = 1, count do
    local flags, hint = told[at + 6], told[at + 8]
    key_at = key_at + 1
    local p = {
      key = KEYS[key_at], algorithm = told[at + 1], limit = told[at + 2], window = told[at + 3],
      burst = told[at + 4], cost = told[at + 5], lifetime = told[at + 7],
    }
    local shadow, admitted = flags % 2 == 1, flags >= 4
    if flags % 4 >= 2 then
      key_at = key_at + 1
      p.records = KEYS[key_at]
      reclaim(p)
    end
    if hint > 0 then restore(p, hint) end
    look(p)
    p.denied = p.wait ~= 0
    if admitted then
      -- Nothing is refused any more, but a limit of nothing has nothing to count in.
      p.denied = p.limit == 0 or (p.denied and shadow)
    elseif p.denied and not shadow then
      refused = 1
      if longest ~= NEVER and (p.wait == NEVER or p.wait > longest) then binding, longest = i, p.wait end
    end
    policies[i] = p
    at = at + 8
  end

  -- 2. Charge all, or none; a shadow policy that would have refused is not charged either.
  local n = #answer
  answer[n + 1], answer[n + 2] = refused, binding
  n = n + 2
  for i = 1, count do
    local p = policies[i]
    if refused == 0 and not p.denied then charge(p, id) end
    local remaining, reset, full
    if p.algorithm == 'b' then
      full = p.from - now
      remaining, reset = floor((p.burst - full) * p.limit / p.window), full
    else
      remaining, full, reset = p.limit - p.used, p.used, 0
      local w = p.counts
      if w and w.latest then reset = (w.latest + 1) * w.slot + w.window - now end
    end
    answer[n + 1], answer[n + 2], answer[n + 3], answer[n + 4] = p.denied and 1 or 0, max(0, remaining), reset, p.wait
    answer[n + 5], answer[n + 6], answer[n + 7] = full, p.place or 0, p.refunds or 0
    n = n + 7
  end
  return at + 1
end

local next_request = 1
while next_request <= #told do next_request = decide(next_request) end
return cmsgpack.pack(answer)
