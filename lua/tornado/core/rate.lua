-- The boundary with C, of rate limits.
local ffi = require "ffi"
local abi = require "tornado.abi"

local C, vm = abi.C, abi.state

local part = {}

local answer = ffi.new("ct_rate_answer")

--- Takes one from the bucket of `key`, which holds `burst` and gets one back each `interval`
-- seconds. Returns whether it was allowed, how many more would be, the seconds until it is full,
-- and those until one is allowed.
function part.rate_take(key, interval, burst)
    local status = C.ct_abi_rate_take(vm, key, #key, interval, burst, answer)
    if status == C.CT_ERROR then error("no memory for rate limits", 2) end
    return status == C.CT_OK, answer.remaining, answer.reset, answer.retry
end

local text = ffi.new "ct_str"

--- What limits of a client count by, in place of its address: of IPv6 the network (/64).
function part.rate_network(ip)
    C.ct_abi_rate_network(vm, ip, #ip, text)
    return ffi.string(text.p, text.n)
end

return part
