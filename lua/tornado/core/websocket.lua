-- The part of tornado.core that is WebSockets. It has C from core.lua, which loads it.
local abi = require "tornado.abi"
local ffi = require "ffi"

local C, vm = abi.C, abi.state
local to_string = ffi.string

local part = {}

part.FRAME_TEXT = tonumber(C.CT_FRAME_TEXT)
part.FRAME_BINARY = tonumber(C.CT_FRAME_BINARY)
part.FRAME_PING = tonumber(C.CT_FRAME_PING)
part.FRAME_PONG = tonumber(C.CT_FRAME_PONG)

local view = ffi.new("ct_str")
local item = ffi.new("ct_websocket_item")

--- What one side wants of permessage-deflate, to be filled and given to the two below.
function part.websocket_deflate()
    return ffi.new("ct_websocket_deflate")
end

--- Options of a WebSocket, to be filled: see core/abi/websocket.h.
function part.websocket_options()
    return ffi.new("ct_websocket_options")
end

--- A server's choice from a client's offers: the field's value for the 101, with *agreed filled;
-- nil for none.
function part.websocket_offers(offers, want, agreed)
    local status = C.ct_abi_websocket_offers(vm, offers, #offers, want, agreed, view)
    if status ~= C.CT_OK then return nil end
    return to_string(view.p, view.n)
end

--- Whether a server's answer is one to our offer; then *agreed is filled.
function part.websocket_answer(answer, want, agreed)
    return C.ct_abi_websocket_answer(answer, #answer, want, agreed) == C.CT_OK
end

--- The WebSocket of a request to which the head of a 101 was sent; nil when the client has left.
function part.websocket_accept(request, options)
    local handle = C.ct_abi_websocket_accept(vm, request, options)
    return handle ~= 0 and handle or nil
end

--- The WebSocket of a channel whose handshake is over, of the client's side; nil when the server
-- has left. The channel is gone.
function part.websocket_connect(channel, options)
    local handle = C.ct_abi_websocket_connect(vm, channel, options)
    return handle ~= 0 and handle or nil
end

--- What came next: FRAME_* and the bytes; or false and AGAIN; or false, EOF, the close code and
-- the reason.
function part.websocket_take(handle)
    local status = C.ct_abi_websocket_take(vm, handle, item)
    if status == C.CT_OK then
        local bytes = to_string(item.bytes.p, item.bytes.n)
        return item.kind, bytes
    end
    if status == C.CT_EOF then
        local reason = to_string(item.bytes.p, item.bytes.n)
        return false, status, item.code, reason
    end
    return false, status
end

--- Sends a frame (FRAME_*): a status.
function part.websocket_send(handle, kind, bytes)
    local result = C.ct_abi_websocket_send(vm, handle, kind, bytes, #bytes)
    return result
end

--- Sends a Close frame; code 0: without one. A status.
function part.websocket_close(handle, code, reason)
    local result = C.ct_abi_websocket_close(vm, handle, code, reason, #reason)
    return result
end

--- Sends a Close frame with 1011 and closes behind it: Lua's side has failed. A status.
function part.websocket_fail(handle)
    local result = C.ct_abi_websocket_fail(vm, handle)
    return result
end

--- Bytes that wait to be sent.
function part.websocket_unsent(handle)
    local result = C.ct_abi_websocket_unsent(vm, handle)
    return result
end

function part.websocket_nodelay(handle, on)
    return C.ct_abi_websocket_nodelay(vm, handle, on and 1 or 0) == C.CT_OK
end

--- Gives a WebSocket to the generation that serves now, with bytes for it (EVENT_MOVED). OK, and
-- the handle is old; CLOSED: it has begun to end; LIMIT: too many bytes.
function part.websocket_move(handle, bytes)
    return C.ct_abi_websocket_move(vm, handle, bytes, #bytes)
end

--- The bytes that one has brought; nil when there is no such WebSocket.
function part.websocket_luggage(handle)
    if C.ct_abi_websocket_luggage(vm, handle, view) ~= C.CT_OK then return nil end
    return to_string(view.p, view.n)
end

--- Gives the handle back; what has not ended is cut off.
function part.websocket_release(handle)
    C.ct_abi_websocket_release(vm, handle)
end

return part
