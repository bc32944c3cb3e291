-- Lengthens what running requests hold. KEYS: clock, keys. ARGV, for each key: member, lifetime, flags (1: put it back if it is gone)
local now = clock(KEYS[1])
for i = 2, #KEYS do
  local at = (i - 2) * 3
  local lifetime = tonumber(ARGV[at + 2])
  if ARGV[at + 3] == '1' then
    call('ZADD', KEYS[i], int(now + lifetime), ARGV[at + 1])
    call('PEXPIRE', KEYS[i], millis(lifetime))
  else
    call('ZADD', KEYS[i], 'XX', int(now + lifetime), ARGV[at + 1])
    call('PEXPIRE', KEYS[i], 86400000)
  end
end
return #KEYS - 1
