-- Shared by the scripts. Time and amounts of time are integer microseconds; numbers stay below 2^53, so doubles hold them exactly.

local SLOTS = 100

local function int(x) return string.format('%.0f', x) end

local function millis(micros) return int(math.max(1, math.ceil(micros / 1000)) + 1000) end

-- The server's time, which never goes back: after a jump of the clock it goes on from where it was. The epoch is another one after a flush.
local function clock(key)
  local t = redis.call('TIME')
  local raw = tonumber(t[1]) * 1000000 + tonumber(t[2])
  local last, offset, epoch = 0, 0, raw
  local kept = redis.call('GET', key)
  if kept then
    local a, b, c = string.match(kept, '^(%d+) (%d+) (%d+)$')
    if a then last, offset, epoch = tonumber(a), tonumber(b), tonumber(c) end
  end
  local now = raw + offset
  if now < last then
    offset = offset + last - now
    now = last
  end
  redis.call('SET', key, int(now) .. ' ' .. int(offset) .. ' ' .. int(epoch))
  return now, epoch
end

-- Token bucket: the time at which the bucket is full again, and how much of it was ever refunded.

local function increment(amount, limit, window) return math.ceil(amount * window / limit) end

local function bucket(key)
  local kept = redis.call('GET', key)
  if kept then
    local tat, refunded = string.match(kept, '^(%d+) (%d+)$')
    if tat then return tonumber(tat), tonumber(refunded) end
  end
  return 0, 0
end

local function keep_bucket(key, tat, refunded, now)
  redis.call('SET', key, int(tat) .. ' ' .. int(refunded), 'PX', millis(tat - now))
end

-- Sliding window: counts by slot, counted whole until the last instant of the slot has left the window. 's' is their sum, 'o' and 'l' the
-- oldest and the latest slot.

local function slot_of(window) return math.ceil(window / SLOTS) end

local function slots(first, last)
  local fields = {}
  for slot = first, last do fields[#fields + 1] = int(slot) end
  return fields
end

local function sliding(key, now, window)
  local kept = redis.call('HMGET', key, 's', 'o', 'l')
  if not kept[1] then return 0, nil, nil end
  local sum, oldest, latest = tonumber(kept[1]), tonumber(kept[2]), tonumber(kept[3])
  local first = math.floor((now - window) / slot_of(window))
  if latest < first then
    redis.call('DEL', key)
    return 0, nil, nil
  end
  if oldest < first then
    local gone = slots(oldest, first - 1)
    for _, count in ipairs(redis.call('HMGET', key, unpack(gone))) do
      if count then sum = sum - tonumber(count) end
    end
    redis.call('HDEL', key, unpack(gone))
    redis.call('HSET', key, 's', int(sum), 'o', int(first))
    oldest = first
  end
  return sum, oldest, latest
end

local function add_sliding(key, now, window, amount)
  local slot = slot_of(window)
  local current = math.floor(now / slot)
  redis.call('HINCRBY', key, int(current), int(amount))
  redis.call('HINCRBY', key, 's', int(amount))
  redis.call('HSETNX', key, 'o', int(current))
  redis.call('HSET', key, 'l', int(current))
  redis.call('PEXPIRE', key, millis(window + slot))
  return current
end

local function wait_sliding(key, now, window, oldest, latest, needed)
  local slot, freed = slot_of(window), 0
  for i, count in ipairs(redis.call('HMGET', key, unpack(slots(oldest, latest)))) do
    if count then
      freed = freed + tonumber(count)
      if freed >= needed then return (oldest + i) * slot + window - now end
    end
  end
  return window
end

-- Fixed window: its number and the count in it.

local function fixed(key, now, window)
  local current = math.floor(now / window)
  local kept = redis.call('GET', key)
  if kept then
    local index, count = string.match(kept, '^(%d+) (%d+)$')
    if index and tonumber(index) == current then return tonumber(count), current end
  end
  return 0, current
end

local function keep_fixed(key, current, count, now, window)
  redis.call('SET', key, int(current) .. ' ' .. int(count), 'PX', millis((current + 1) * window - now))
end

-- What is charged whatever the limit says: a debt.
local function add(algorithm, key, now, limit, window, amount)
  if algorithm == 'b' then
    local tat, refunded = bucket(key)
    keep_bucket(key, math.max(tat, now) + increment(amount, limit, window), refunded, now)
  elseif algorithm == 's' then
    sliding(key, now, window)
    add_sliding(key, now, window, amount)
  elseif algorithm == 'f' then
    local count, current = fixed(key, now, window)
    keep_fixed(key, current, count + amount, now, window)
  end
end

-- Takes back a part of an earlier charge, never more of it than is still in the count: what has drained since is nobody's any more.
local function refund(algorithm, key, now, limit, window, amount, place, refunded_before)
  if algorithm == 'b' then
    local tat, refunded = bucket(key)
    -- Where the charge ends now: every refund since may have moved it.
    local left = place - math.max(0, refunded - refunded_before) - now
    local back = math.min(math.floor(amount * window / limit), left, tat - now)
    if back > 0 then keep_bucket(key, tat - back, refunded + back, now) end
  elseif algorithm == 's' then
    local _, oldest = sliding(key, now, window)
    local count = oldest and place >= oldest and redis.call('HGET', key, int(place))
    local back = count and math.min(amount, tonumber(count)) or 0
    if back > 0 then
      redis.call('HINCRBY', key, int(place), int(-back))
      redis.call('HINCRBY', key, 's', int(-back))
    end
  elseif algorithm == 'f' then
    local count, current = fixed(key, now, window)
    if current == place then keep_fixed(key, current, math.max(0, count - amount), now, window) end
  end
end

-- How full it is (token bucket: in microseconds until it is full again, else a count), and when nothing of it is left.
local function level(algorithm, key, now, window)
  if algorithm == 'b' then
    local tat = math.max(0, bucket(key) - now)
    return tat, tat
  elseif algorithm == 's' then
    local sum, _, latest = sliding(key, now, window)
    return sum, latest and (latest + 1) * slot_of(window) + window - now or 0
  elseif algorithm == 'f' then
    local count, current = fixed(key, now, window)
    return count, (current + 1) * window - now
  end
  return redis.call('ZCARD', key), 0
end
