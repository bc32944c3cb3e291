-- Says that an instance lives and how many do. KEYS: clock, instances. ARGV: instance, lifetime (0: it leaves)
local now, epoch = clock(KEYS[1])
call('ZREMRANGEBYSCORE', KEYS[2], '-inf', int(now))
if tonumber(ARGV[2]) > 0 then
  call('ZADD', KEYS[2], int(now + tonumber(ARGV[2])), ARGV[1])
  call('PEXPIRE', KEYS[2], millis(tonumber(ARGV[2])))
else
  call('ZREM', KEYS[2], ARGV[1])
end
return { call('ZCARD', KEYS[2]), now, epoch }
