-- The part of tornado.core that is byte streams: what iostream stands on. It has C from
-- core.lua, which loads it.
local abi = require "tornado.abi"
local ffi = require "ffi"

local C, vm = abi.C, abi.state
local to_string = ffi.string
local view = ffi.new("ct_str")
local bytes_type = ffi.typeof("const char *")

local channels = {}

local function why()
    return to_string(C.ct_abi_why(vm))
end

--- Begins to connect, from the address `from` if there is one; returns a channel's handle, or nil,
--- why not, and errno (0: a bad address).
function channels.connect(address, from)
    local channel = C.ct_abi_connect(vm, address, from or "")
    if channel == 0 then return nil, why(), C.ct_abi_errno(vm) end
    return channel
end

--- A channel of an open socket or pipe, which it takes; or nil, why not, and errno.
function channels.adopt(descriptor)
    local channel = C.ct_abi_adopt(vm, descriptor)
    if channel == 0 then return nil, why(), C.ct_abi_errno(vm) end
    return channel
end

--- OK when it is connected, AGAIN, ERROR, CLOSED.
function channels.channel_state(channel)
    local result = C.ct_abi_channel_state(vm, channel)
    return result
end

--- Limits what is read ahead, and at once (at most 65536).
function channels.channel_limit(channel, ahead, piece)
    local result = C.ct_abi_channel_limit(vm, channel, ahead, piece)
    return result
end

-- What a call read, or nil, its status, and with LIMIT whether it is the answer's own.
local function answer(status)
    if status ~= C.CT_OK then return nil, status, view.n == 1 end
    local text = to_string(view.p, view.n)
    return text
end

--- Reads up to and with `mark`, of at most `max` bytes (0: no limit); `first`: 0 for a repetition.
--- Returns them, or nil, a status, and with LIMIT whether `max` was it.
function channels.channel_until(channel, first, mark, max)
    return answer(C.ct_abi_channel_until(vm, channel, first, mark, #mark, max, view))
end

--- The same up to the end of the first match of regex_search()'s.
function channels.channel_match(channel, first, regex, max)
    return answer(C.ct_abi_channel_match(vm, channel, first, regex, max, view))
end

--- Reads `n` bytes; with `partial`, 1 to n.
function channels.channel_bytes(channel, partial, n)
    return answer(C.ct_abi_channel_bytes(vm, channel, partial and 1 or 0, n, view))
end

--- Reads all up to the end.
function channels.channel_all(channel)
    return answer(C.ct_abi_channel_all(vm, channel, view))
end

--- Reads at most `max` bytes to `at` bytes behind the beginning of `buffer`: a count, or nil and
--- a status.
function channels.channel_into(channel, buffer, at, max)
    local n = C.ct_abi_channel_into(vm, channel, ffi.cast("char *", buffer) + at, max)
    if n < 0 then return nil, -n end
    return n
end

--- Puts `n` bytes of `buffer` (a string or memory) back in front of what is to be read.
function channels.channel_unread(channel, buffer, n)
    local result = C.ct_abi_channel_unread(vm, channel, ffi.cast(bytes_type, buffer), n)
    return result
end

--- What has been read ahead.
function channels.channel_rest(channel)
    if C.ct_abi_channel_rest(vm, channel, view) ~= C.CT_OK then return "" end
    local text = to_string(view.p, view.n)
    return text
end

--- Whether the input has ended: OK (bytes lie in the buffer), AGAIN, EOF, ERROR.
function channels.channel_poll(channel)
    local result = C.ct_abi_channel_poll(vm, channel)
    return result
end

--- Sends the bytes of `s` behind the first `from`: how many were taken, 0 (the event tells), -1.
function channels.channel_write(channel, s, from)
    local p = ffi.cast(bytes_type, s) + from
    local result = C.ct_abi_channel_write(vm, channel, p, #s - from)
    return result
end

function channels.channel_send(channel, s)
    local result = C.ct_abi_channel_send(vm, channel, s, #s)
    return result
end

--- At most `max` bytes past the buffer, or nil and a status.
function channels.channel_recv(channel, max)
    local status = C.ct_abi_channel_recv(vm, channel, max, view)
    if status ~= C.CT_OK then return nil, status end
    local text = to_string(view.p, view.n)
    return text
end

function channels.channel_unsent(channel)
    local result = C.ct_abi_channel_unsent(vm, channel)
    return result
end

function channels.channel_shut(channel)
    local result = C.ct_abi_channel_shut(vm, channel)
    return result
end

function channels.channel_close(channel, reset)
    local result = C.ct_abi_channel_close(vm, channel, reset and 1 or 0)
    return result
end

--- errno of what broke it, or 0.
function channels.channel_errno(channel)
    local result = C.ct_abi_channel_errno(vm, channel)
    return result
end

--- Its descriptor, or -1.
function channels.channel_descriptor(channel)
    local result = C.ct_abi_channel_descriptor(vm, channel)
    return result
end

function channels.channel_nodelay(channel, on)
    return C.ct_abi_channel_nodelay(vm, channel, on and 1 or 0) == C.CT_OK
end

--- The address it is bound to, with `peer` the other's; nil when there is none.
function channels.channel_address(channel, peer)
    if C.ct_abi_channel_address(vm, channel, peer and 1 or 0, view) ~= C.CT_OK then return nil end
    local text = to_string(view.p, view.n)
    return text
end

--- A compiled pattern for channel_match(), or nil and why not.
function channels.regex_search(pattern)
    local regex = C.ct_abi_regex_search(vm, pattern, #pattern)
    if regex == 0 then return nil, why() end
    return regex
end

--- Where its first match in `s` ends, or nil.
function channels.regex_find(regex, s)
    local stop = C.ct_abi_regex_find(vm, regex, s, #s)
    return stop >= 0 and stop or nil
end

--- Copies the first `n` bytes of a string to `at` bytes behind the beginning of `buffer`.
function channels.copy(buffer, at, s, n)
    ffi.copy(ffi.cast("char *", buffer) + at, s, n)
end

local arrays = {} -- number of a type of C -> whether it is an array

--- The bytes of an FFI array; nil for a pointer, which does not tell.
function channels.size_of(buffer)
    local kind = tonumber(ffi.typeof(buffer))
    local is_array = arrays[kind]
    if is_array == nil then
        is_array = tostring(ffi.typeof(buffer)):find("%]>$") ~= nil
        arrays[kind] = is_array
    end
    return is_array and ffi.sizeof(buffer) or nil
end

--- Frees a compiled pattern.
function channels.regex_free(regex)
    C.ct_abi_regex_free(vm, regex)
end

return channels
