-- Shared by the scripts. Time and amounts of time are whole microseconds; numbers stay below 2^53, so doubles hold them exactly. Counts are
-- kept as packed doubles, and arguments come packed: both are read faster than text.

local floor, ceil, max, min = math.floor, math.ceil, math.max, math.min
local call, pack, read = redis.call, struct.pack, struct.unpack

local function int(x) return string.format('%.0f', x) end

local function millis(micros) return max(1, ceil(micros / 1000)) + 1000 end

-- The server's time, which no two scripts have in common: after a jump of the clock it goes on from where it was. The epoch is another one
-- after a flush.
local function clock(key)
  local t = call('TIME')
  local raw = tonumber(t[1]) * 1000000 + tonumber(t[2])
  local last, offset, epoch = 0, 0, raw
  local kept = call('GET', key)
  if kept then
    local a, b, c = string.match(kept, '^(%d+) (%d+) (%d+)$')
    if a then last, offset, epoch = tonumber(a), tonumber(b), tonumber(c) end
  end
  local now = raw + offset
  if now <= last then
    offset = offset + last + 1 - now
    now = last + 1
  end
  call('SET', key, int(now) .. ' ' .. int(offset) .. ' ' .. int(epoch))
  return now, epoch
end

-- Token bucket: the time at which the bucket is full again, and how much of it was ever refunded.

local function increment(amount, limit, window) return ceil(amount * window / limit) end

local function bucket(key)
  local kept = call('GET', key)
  if not kept then return 0, 0 end
  local tat, refunded = read('<dd', kept)
  return tat, refunded
end

local function keep_bucket(key, tat, refunded, now)
  call('SET', key, pack('<dd', tat, refunded), 'PX', millis(tat - now))
end

-- Windows: counts by slot, counted whole until the last instant of the slot has left the window; hundredths of a sliding window, tenths of
-- a fixed one, which begin and end with the clock's. Kept: the sum, the latest slot and its count, then the earlier ones, oldest first.

local SLOTS = { s = 100, f = 10 }
local HEAD, ENTRY = 24, 16

local function open_window(algorithm, key, now, window)
  local w = { key = key, slot = ceil(window / SLOTS[algorithm]), window = window, sum = 0, gone = 0, count = 0, from = HEAD + 1, kept = '' }
  local kept = call('GET', key)
  if not kept then return w end
  local sum, latest, count = read('<ddd', kept)
  local first = floor((now - window) / w.slot)
  if latest < first then return w end
  local at, gone = HEAD + 1, 0
  while at < #kept do
    local slot, amount = read('<dd', kept, at)
    if slot >= first then break end
    gone = gone + amount
    at = at + ENTRY
  end
  w.sum, w.gone, w.latest, w.count, w.from, w.kept = sum - gone, gone, latest, count, at, kept
  return w
end

-- What has gone is still there, and in the sum that is kept, until a slot is added.
local function keep_head(w)
  call('SETRANGE', w.key, 0, pack('<ddd', w.sum + w.gone, w.latest, w.count))
end

local function add_to_window(w, now, amount)
  local current = floor(now / w.slot)
  w.sum = w.sum + amount
  if w.latest == current then
    w.count = w.count + amount
    keep_head(w)
  else
    local earlier = string.sub(w.kept, w.from)
    if w.latest then earlier = earlier .. pack('<dd', w.latest, w.count) end
    w.kept, w.from, w.gone, w.latest, w.count = '', HEAD + 1, 0, current, amount
    call('SET', w.key, pack('<ddd', w.sum, current, amount) .. earlier, 'PX', millis(w.window + w.slot))
  end
  return current
end

-- Until so much has left, or 0 where it never was so much.
local function window_frees(w, now, needed)
  local at, freed = w.from, 0
  while at < #w.kept do
    local slot, amount = read('<dd', w.kept, at)
    freed = freed + amount
    if freed >= needed then return (slot + 1) * w.slot + w.window - now end
    at = at + ENTRY
  end
  return w.latest and (w.latest + 1) * w.slot + w.window - now or 0
end

local function refund_window(w, amount, place)
  if w.latest == place then
    local back = min(amount, w.count)
    w.sum, w.count = w.sum - back, w.count - back
    keep_head(w)
    return
  end
  for at = #w.kept - ENTRY + 1, w.from, -ENTRY do
    local slot, count = read('<dd', w.kept, at)
    if slot == place then
      local back = min(amount, count)
      w.sum = w.sum - back
      call('SETRANGE', w.key, at - 1, pack('<dd', slot, count - back))
      keep_head(w)
      return
    end
  end
end

-- What is charged whatever the limit says: a debt.
local function add(algorithm, key, now, limit, window, amount)
  if algorithm == 'b' then
    local tat, refunded = bucket(key)
    keep_bucket(key, max(tat, now) + increment(amount, limit, window), refunded, now)
  elseif algorithm ~= 'c' then
    add_to_window(open_window(algorithm, key, now, window), now, amount)
  end
end

-- Takes back a part of an earlier charge, never more of it than is still in the count: what has drained since is nobody's any more.
local function refund(algorithm, key, now, limit, window, amount, place, refunded_before)
  if algorithm == 'b' then
    local tat, refunded = bucket(key)
    -- Where the charge ends now: every refund since may have moved it.
    local left = place - max(0, refunded - refunded_before) - now
    local back = min(floor(amount * window / limit), left, tat - now)
    if back > 0 then keep_bucket(key, tat - back, refunded + back, now) end
  elseif algorithm ~= 'c' then
    refund_window(open_window(algorithm, key, now, window), amount, place)
  end
end

-- How full it is (token bucket: in microseconds until it is full again, else a count), and when nothing of it is left.
local function level(algorithm, key, now, window)
  if algorithm == 'b' then
    local tat = max(0, bucket(key) - now)
    return tat, tat
  elseif algorithm == 'c' then
    return call('ZCARD', key), 0
  end
  local w = open_window(algorithm, key, now, window)
  return w.sum, w.latest and (w.latest + 1) * w.slot + w.window - now or 0
end
